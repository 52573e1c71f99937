#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "address.h"
#include "hello.h"
#include "intake.h"
#include "log.h"
#include "login.h"
#include "server.h"
#include "target.h"
#include "timer.h"
#include "turn.h"

#define UPGRADE_MS 10000
#define HANDSHAKE_MS 10000
#define CLOSING_MS 2000
/* So many that nothing has followed, and the client is gone. */
#define UNANSWERED_PINGS 2
/* What may wait for all targets of a peer: beyond it, the peer is not read. */
#define BACKLOG_MAX ((size_t)64 << 20)
/* The same when so much waits for the targets of all peers. */
#define BACKLOGS_MAX ((size_t)256 << 20)
#define BACKLOG_SHARE ((size_t)256 << 10)
/* What may have been read of a peer before it was paused. */
#define UNTAKEN_MAX ((size_t)2 * WIRE_BUFFER_SIZE)
/* The same for datagrams: beyond it, the oldest are dropped. */
#define DATAGRAMS_MAX (1 << 20)

static bool
set_timer(struct peer *peer, uint64_t ms)
{
	return timer_set(&peer->timer, ms);
}

static bool
is_introduced(const struct peer *peer)
{
	return wisp_session_version(peer->session) != 0;
}

/* Until a client has introduced itself it gets some time, and pings from then on. */
static void
set_open_timer(struct peer *peer)
{
	set_timer(peer, is_introduced(peer) ? peer->server->options->ping_interval_ms : HANDSHAKE_MS);
}

/* ---- the end ---- */

/* Bring the server's sum up to date. */
static void
count_backlog(struct peer *peer)
{
	peer->server->backlog_bytes += peer->backlog_bytes - peer->counted_bytes;
	peer->counted_bytes = peer->backlog_bytes;
}

void
peer_free(struct peer *peer)
{
	struct wisp_session *session = peer->session;

	event_del(&peer->event);
	event_del(&peer->run_event);
	event_del(&peer->timer);
	intake_close(&peer->intake);
	peer->session = NULL;
	wisp_session_free(session);
	if (peer->fd >= 0)
		close(peer->fd);
	count_backlog(peer);
	request_clear(&peer->request, &peer->server->request_bytes);
	server_forget(peer->server, peer);
	free(peer->untaken);
	resolver_share_leave(&peer->names);
	free(peer);
}

/* Nothing more is taken from the peer; it gets what is still to be said, and CLOSING_MS for it. */
static void
begin_closing(struct peer *peer)
{
	if (peer->state != PEER_UPGRADING && peer->state != PEER_OPEN)
		return;
	peer->state = PEER_CLOSING;
	set_timer(peer, CLOSING_MS);
	event_active(&peer->run_event, EV_TIMEOUT, 0);
}

/*
 * A refused client has been sent the answer. Closing while some of its request is still under way would be a reset,
 * which may overtake the answer: our side ends here, and what still comes is dropped until it hangs up, or its time is
 * over.
 */
static void
begin_leaving(struct peer *peer)
{
	SSL *ssl = lws_get_ssl(peer->intake.wsi);

	if (ssl != NULL) {
		SSL_shutdown(ssl);
		ERR_clear_error();
	}
	peer->state = shutdown(lws_get_socket_fd(peer->intake.wsi), SHUT_WR) == 0 ? PEER_LEAVING : PEER_GONE;
}

/* ---- the session ---- */

static void
on_ready(void *arg)
{
	struct peer *peer = arg;

	log_debug("%s: wisp v%u", peer->name, wisp_session_version(peer->session));
	login_log_success(peer->name, wisp_session_handshake(peer->session));
}

static void
on_wake(void *arg)
{
	struct peer *peer = arg;

	event_active(&peer->run_event, EV_TIMEOUT, 0);
}

static void
on_open(void *arg, struct wisp_stream *stream, const struct wisp_destination *destination)
{
	target_open(arg, stream, destination);
}

static const struct wisp_session_callbacks session_callbacks = {
	.ready = on_ready,
	.wake = on_wake,
	.open = on_open,
};

/* The session is over. */
static void
refuse(struct peer *peer)
{
	if (!login_log_failure(peer->name, wisp_session_handshake(peer->session)))
		log_info("%s: %s", peer->name, wisp_session_error(peer->session));
	begin_closing(peer);
}

static void
update_paused(struct peer *peer)
{
	const bool paused = peer->over_budget || peer->untaken != NULL;

	if (paused == peer->intake.paused)
		return;
	intake_pause(&peer->intake, paused);
	if (paused)
		return;
	peer->unanswered_pings = 0;
	event_active(&peer->run_event, EV_TIMEOUT, 0);
}

/*
 * Keep what the session does not take, because too many CLOSEs wait for the client to read. As long as there is some,
 * the client is not read.
 */
static void
keep_untaken(struct peer *peer, const uint8_t *p, size_t n)
{
	uint8_t *kept = NULL;

	if (n <= UNTAKEN_MAX - peer->untaken_size)
		kept = realloc(peer->untaken, peer->untaken_size + n);
	if (kept == NULL) {
		log_info("%s: disconnected: it does not read its answers, and no memory is left for what it sends",
			peer->name);
		begin_closing(peer);
		return;
	}
	memcpy(kept + peer->untaken_size, p, n);
	peer->untaken = kept;
	peer->untaken_size += n;
	log_debug("%s: not read: it does not read the ends of its streams", peer->name);
	update_paused(peer);
}

static void
feed(struct peer *peer, uint8_t *p, size_t n)
{
	bool introduced, good;

	if (peer->state != PEER_OPEN || n == 0)
		return;
	if (peer->untaken != NULL) {
		keep_untaken(peer, p, n); /* it had been read before the client was paused */
		return;
	}
	introduced = is_introduced(peer);
	peer->unanswered_pings = 0;
	good = wisp_session_feed(peer->session, p, n);
	if (good && wisp_session_untaken(peer->session) > 0)
		keep_untaken(peer, p + n - wisp_session_untaken(peer->session), wisp_session_untaken(peer->session));
	if (!introduced)
		OPENSSL_cleanse(p, n); /* there may be a password in it */
	if (!introduced && is_introduced(peer) && peer->state == PEER_OPEN)
		set_open_timer(peer);
	if (!good)
		refuse(peer);
}

/* The session may take more than it did. */
static void
feed_untaken(struct peer *peer)
{
	uint8_t *const p = peer->untaken;
	const size_t n = peer->untaken_size;

	if (p == NULL || !wisp_session_takes(peer->session))
		return;
	peer->untaken = NULL;
	peer->untaken_size = 0;
	feed(peer, p, n);
	free(p);
	update_paused(peer);
}

/* ---- the upgrade ---- */

/* Write text that is not a frame. It is short, and the first that this connection carries. */
static bool
write_text(struct peer *peer, const char *text, size_t n)
{
	unsigned char buffer[LWS_PRE + WISP_UPGRADE_RESPONSE_MAX];

	memcpy(buffer + LWS_PRE, text, n);
	return lws_write(peer->intake.wsi, buffer + LWS_PRE, n, LWS_WRITE_RAW) == (int)n;
}

static void
start_session(struct peer *peer, const struct wisp_upgrade_request *request)
{
	const struct server_options *options = peer->server->options;
	const uint8_t version = request->has_protocol ? options->version : 1;

	peer->session =
		wisp_session_new_server(&peer->server->wisp, version, options->max_streams, &session_callbacks, peer);
	if (peer->session == NULL) {
		begin_closing(peer);
		return;
	}
	/* libwebsockets gives a raw connection over TLS only some seconds, unless told otherwise. */
	lws_set_timeout(peer->intake.wsi, NO_PENDING_TIMEOUT, 0);
	wire_init(&peer->wire, peer->intake.wsi, NULL);
	peer->state = PEER_OPEN;
	set_open_timer(peer);
	log_info("%s: connected (wisp v%u)", peer->name, version);
	if (wisp_session_error(peer->session) != NULL)
		refuse(peer);
	event_active(&peer->run_event, EV_TIMEOUT, 0);
}

/* Answer a request. Returns whether the session begins; if not, the connection ends. */
static bool
answer_request(struct peer *peer, const struct wisp_upgrade_request *request)
{
	char response[WISP_UPGRADE_RESPONSE_MAX];
	const size_t n = wisp_upgrade_respond(request, response);

	if (request->status >= 400)
		log_info("%s: refused with HTTP %d: %s", peer->name, request->status, request->error);
	else if (request->status != 101)
		log_debug("%s: a probe, answered with HTTP %d", peer->name, request->status);
	if (write_text(peer, response, n) && request->status == 101)
		return true;
	begin_closing(peer);
	return false;
}

/* Gather the request. What comes behind it is the first of the session. */
static void
upgrade(struct peer *peer, uint8_t *p, size_t n)
{
	struct wisp_upgrade_request request = {
		.status = 503, .error = "incomplete requests take too much memory; try again later"};
	size_t *total = &peer->server->request_bytes;
	const size_t before = peer->request.size;
	size_t size = before;

	if (request_add(&peer->request, total, p, n) > 0) {
		if (!request_is_complete(&peer->request))
			return;
		size = wisp_upgrade_parse(
			peer->request.head, peer->request.size, peer->server->options->path, &request);
	}
	request_clear(&peer->request, total);
	peer->intake.greeting = false;
	if (peer->excess) {
		request.status = 429;
		request.error = "too many connections from its address";
	}
	if (!answer_request(peer, &request))
		return;
	start_session(peer, &request);
	feed(peer, p + (size - before), n - (size - before));
}

/* ---- work ---- */

static void
send_pending(struct peer *peer)
{
	switch (wire_send(&peer->wire, peer->session, &peer->sent_bytes)) {
	case WIRE_DONE:
	case WIRE_BLOCKED:
		break;
	case WIRE_MORE:
		turn_again(&peer->run_event);
		break;
	case WIRE_BROKEN:
		peer->state = PEER_GONE;
		break;
	}
}

/* Everything that can be done now. All events end here. */
static void
run(struct peer *peer)
{
	if (intake_turn(&peer->intake))
		turn_again(&peer->run_event);
	if (peer->state != PEER_GONE && peer->session != NULL)
		send_pending(peer);
	if (peer->state != PEER_GONE && peer->session != NULL)
		feed_untaken(peer);
	if (peer->state == PEER_CLOSING && !lws_partial_buffered(peer->intake.wsi) && wire_flush(&peer->wire)) {
		if (peer->session == NULL)
			begin_leaving(peer);
		else if (!wisp_session_pending(peer->session))
			peer->state = PEER_GONE;
	}
	if (peer->state == PEER_GONE) {
		if (peer->session != NULL)
			log_info("%s: disconnected", peer->name);
		else
			log_debug("%s: disconnected without a WebSocket", peer->name);
		peer_free(peer);
	}
}

void
peer_check_budget(struct peer *peer)
{
	size_t limit;

	if (peer->session == NULL)
		return; /* it is on its way out, with its targets: nothing may happen to it later */
	count_backlog(peer);
	limit = peer->server->backlog_bytes < BACKLOGS_MAX ? BACKLOG_MAX : BACKLOG_SHARE;
	if (!peer->over_budget && peer->backlog_bytes >= limit) {
		peer->over_budget = true;
		log_debug("%s: not read: %zu bytes wait for its destinations", peer->name, peer->backlog_bytes);
	} else if (peer->over_budget && peer->backlog_bytes < limit / 4 * 3) {
		peer->over_budget = false;
	}
	update_paused(peer);
}

/* ---- events ---- */

static void
on_run(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	run(arg);
}

static void
on_edge(void *arg)
{
	run(arg);
}

static void
on_data(void *arg, uint8_t *p, size_t n)
{
	struct peer *peer = arg;

	if (peer->state == PEER_UPGRADING)
		upgrade(peer, p, n);
	else
		feed(peer, p, n);
}

static void
on_closed(void *arg)
{
	struct peer *peer = arg;

	peer->state = PEER_GONE;
	event_active(&peer->run_event, EV_TIMEOUT, 0);
}

/* Its first bytes are right: libwebsockets reads what has come of its request or of TLS. */
static void
enter(struct peer *peer)
{
	static const struct intake_callbacks callbacks = {.edge = on_edge, .data = on_data, .closed = on_closed};
	const struct server *server = peer->server;
	const evutil_socket_t fd = peer->fd;

	event_del(&peer->event);
	peer->fd = -1;
	peer->state = PEER_UPGRADING;
	if (intake_open(&peer->intake, server->context, server->base, fd, server->options->cert != NULL, peer->name,
		    &callbacks, peer))
		run(peer);
	else
		peer_free(peer);
}

/* Something happened on the socket of a client that has said nothing yet, or that is leaving again. */
static void
on_arrival(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;

	(void)what;
	if (peer->state == PEER_LEAVING) {
		if (!hello_drop(fd))
			peer_free(peer);
		return;
	}
	switch (hello_take(fd, peer->server->options->cert != NULL, peer->name)) {
	case HELLO_NONE:
		break;
	case HELLO_RIGHT:
		enter(peer);
		break;
	case HELLO_LEAVING:
		peer->state = PEER_LEAVING;
		set_timer(peer, CLOSING_MS);
		break;
	case HELLO_GONE:
		peer_free(peer);
		break;
	}
}

/* Have an event for each edge of the socket. Returns false without memory. */
static bool
watch_arrival(struct peer *peer)
{
	event_assign(
		&peer->event, peer->server->base, peer->fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_arrival, peer);
	return event_add(&peer->event, NULL) == 0;
}

/* Why a peer whose time is up has not been heard. */
static const char *
why_silent(const struct peer *peer)
{
	if (peer->session == NULL || !is_introduced(peer))
		return "too slow to introduce itself";
	return peer->untaken != NULL ? "does not read its answers" : "gone without a word";
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct peer *peer = arg;

	const bool introduced = peer->session != NULL && is_introduced(peer);

	(void)fd, (void)what;
	/* Silence alone says nothing: this process may have been stopped meanwhile. */
	if (peer->state == PEER_OPEN && introduced &&
		(peer->over_budget || peer->unanswered_pings < UNANSWERED_PINGS)) {
		wisp_session_ping(peer->session);
		peer->unanswered_pings++;
		set_open_timer(peer);
		return;
	}
	if (peer->state == PEER_OPEN)
		log_info("%s: %s", peer->name, why_silent(peer));
	else
		log_debug("%s: too slow to %s", peer->name,
			peer->state == PEER_ARRIVING || peer->state == PEER_UPGRADING ? "ask for the upgrade"
										      : "close");
	peer_free(peer);
}

static void
name_peer(struct peer *peer, const struct sockaddr *from)
{
	static unsigned long count;
	char text[ADDRESS_TEXT_SIZE];

	if (from->sa_family != AF_UNIX)
		address_format(from, text);
	else
		snprintf(text, sizeof text, "client %lu", ++count);
	snprintf(peer->name, sizeof peer->name, "%.*s", (int)sizeof peer->name - 1, text);
}

bool
peer_new(struct server *server, evutil_socket_t fd, const struct sockaddr *from, struct source *source, bool excess)
{
	struct peer *peer = calloc(1, sizeof *peer);

	if (peer != NULL) {
		peer->server = server;
		peer->source = source;
		peer->excess = excess;
		peer->fd = fd;
		evtimer_assign(&peer->run_event, server->base, on_run, peer);
		evtimer_assign(&peer->timer, server->base, on_timer, peer);
	}
	if (peer == NULL || !set_timer(peer, UPGRADE_MS) || !watch_arrival(peer)) {
		log_warning("a client is turned away: out of memory");
		if (peer != NULL)
			event_del(&peer->timer);
		free(peer);
		close(fd);
		return false;
	}
	datagram_pool_init(&peer->datagrams, DATAGRAMS_MAX);
	wire_tune_socket(fd);
	name_peer(peer, from);
	TAILQ_INSERT_TAIL(&server->peers, peer, entry);
	server->peer_count++;
	return true;
}
