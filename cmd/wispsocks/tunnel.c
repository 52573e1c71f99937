#include "tunnel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/rand.h>

#include <wisp/upgrade.h>

#include "address.h"
#include "clock.h"
#include "log.h"
#include "notify.h"
#include "resolver.h"
#include "tls.h"
#include "wire.h"

#define PROTOCOL "wisp-v2"
/* From the first look-up to the end of Wisp's handshake. */
#define ATTEMPT_MS 10000
/* For one address of several. */
#define ADDRESS_MS 3000
#define DELAY_MIN_MS 500
#define DELAY_MAX_MS 30000
/* When programs wait for the tunnel, attempts are this close at the closest. */
#define HURRY_MS 2000
/* A connection that lasted this long was a good one: the next delay is the shortest again. */
#define STOOD_MS 10000
/* libwebsockets has timeouts of its own while it connects. */
#define TICK_MS 250
/* Reads in one turn, before others have theirs. */
#define READS_PER_TURN 32
/* How often libwebsockets is served in a row: each time may call back, and a callback may make more to do. */
#define PUMP_MAX 64
#define PUMP_MIN 3

enum tunnel_state {
	TUNNEL_WAITING, /* for the next attempt */
	TUNNEL_RESOLVING,
	TUNNEL_CONNECTING, /* TCP, TLS and the upgrade */
	TUNNEL_GREETING,   /* the upgrade is done, Wisp's handshake is not */
	TUNNEL_UP,
	TUNNEL_STOPPED,
};

/* Whether trying again can help. */
enum failure {
	FAILURE_NONE,
	FAILURE_PASSING,
	FAILURE_LASTING,
};

struct tunnel {
	struct event_base *base;
	const struct tunnel_options *options;
	const struct tunnel_callbacks *callbacks;
	void *arg;
	struct wisp_session_callbacks session_callbacks;
	struct resolver *resolver;
	struct tls tls;
	struct lws_context *context;

	enum tunnel_state state;
	enum failure failure;
	char reason[300];
	bool ever_up;

	struct resolver_query *query;
	struct evutil_addrinfo *addresses;
	struct evutil_addrinfo *address; /* the one being tried */
	struct lws *wsi;
	char key[WISP_UPGRADE_KEY_SIZE];
	unsigned callback_count; /* of libwebsockets, to see whether it still has something to do */
	int fd;                  /* that `fd_event` watches, or -1 */
	struct event fd_event;
	struct event attempt_timer; /* WAITING: the next attempt; otherwise: the end of this one */
	struct event tick_timer;
	struct event run_event;  /* there is something to send or to read */
	struct event held_timer; /* the session's deadline */
	struct event ping_timer;
	uint64_t delay_ms;
	uint64_t attempted_ms;    /* the last one */
	uint64_t next_attempt_ms; /* WAITING */
	uint64_t up_ms;
	uint64_t heard_ms; /* when something last arrived */
	uint64_t received_bytes;
	uint64_t sent_bytes;

	struct wisp_session *session;
	struct wire wire;
	bool readable;
	bool paused;
	char *buffer;
};

static void begin_attempt(struct tunnel *tunnel);
static void try_address(struct tunnel *tunnel);
static void run(struct tunnel *tunnel);

/* ---- failures ---- */

/* Remember why the connection is over. The first reason is the one that counts. */
static void fail(struct tunnel *tunnel, enum failure failure, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void
fail(struct tunnel *tunnel, enum failure failure, const char *format, ...)
{
	va_list args;

	if (tunnel->failure != FAILURE_NONE)
		return;
	tunnel->failure = failure;
	va_start(args, format);
	vsnprintf(tunnel->reason, sizeof tunnel->reason, format, args);
	va_end(args);
}

static void
unwatch(struct tunnel *tunnel)
{
	if (tunnel->fd >= 0)
		event_del(&tunnel->fd_event);
	tunnel->fd = -1;
}

/* Let go of everything that belongs to one connection. Not to be called from within libwebsockets. */
static void
disconnect(struct tunnel *tunnel)
{
	struct wisp_session *session = tunnel->session;

	unwatch(tunnel);
	evtimer_del(&tunnel->attempt_timer);
	evtimer_del(&tunnel->tick_timer);
	evtimer_del(&tunnel->run_event);
	evtimer_del(&tunnel->held_timer);
	evtimer_del(&tunnel->ping_timer);
	if (tunnel->wsi != NULL)
		lws_set_timeout(tunnel->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	tunnel->wsi = NULL;
	if (tunnel->query != NULL)
		resolver_cancel(tunnel->query);
	tunnel->query = NULL;
	tunnel->session = NULL;
	wisp_session_free(session);
	tunnel->readable = false;
}

static void
forget_addresses(struct tunnel *tunnel)
{
	if (tunnel->addresses != NULL)
		evutil_freeaddrinfo(tunnel->addresses);
	tunnel->addresses = tunnel->address = NULL;
}

/* A little more or less than the delay, so that the clients of a server that comes back do not come all at once. */
static uint64_t
with_jitter(uint64_t delay_ms)
{
	uint16_t random = 0;

	RAND_bytes((unsigned char *)&random, sizeof random);
	return delay_ms - delay_ms / 8 + delay_ms / 4 * random / UINT16_MAX;
}

static void
wait_for_next_attempt(struct tunnel *tunnel, bool was_up)
{
	const uint64_t delay_ms = with_jitter(tunnel->delay_ms);
	const struct timeval tv = clock_timeval(delay_ms);

	log_info("%s %s: %s; next try in %.1f s", was_up ? "disconnected from" : "cannot connect to",
		tunnel->options->url.text, tunnel->reason, (double)delay_ms / 1000);
	notify_status("not connected to %s: %s", tunnel->options->url.authority, tunnel->reason);
	tunnel->state = TUNNEL_WAITING;
	tunnel->delay_ms = tunnel->delay_ms * 2 < DELAY_MAX_MS ? tunnel->delay_ms * 2 : DELAY_MAX_MS;
	tunnel->next_attempt_ms = clock_now_ms() + delay_ms;
	evtimer_add(&tunnel->attempt_timer, &tv);
}

/* The connection, or the attempt, has failed: decide what comes next. */
static void
on_failure(struct tunnel *tunnel)
{
	const bool was_up = tunnel->state == TUNNEL_UP;
	const bool connecting = tunnel->state == TUNNEL_CONNECTING;

	if (was_up && clock_now_ms() - tunnel->up_ms >= STOOD_MS)
		tunnel->delay_ms = DELAY_MIN_MS;
	tunnel->state = TUNNEL_WAITING;
	disconnect(tunnel);
	if (connecting && tunnel->failure == FAILURE_PASSING && tunnel->address->ai_next != NULL) {
		log_debug("%s: %s", tunnel->options->url.text, tunnel->reason);
		tunnel->address = tunnel->address->ai_next;
		try_address(tunnel);
		return;
	}
	forget_addresses(tunnel);
	if (tunnel->failure == FAILURE_LASTING && !tunnel->ever_up) {
		tunnel->state = TUNNEL_STOPPED;
		log_error("%s: %s", tunnel->options->url.text, tunnel->reason);
		tunnel->callbacks->hopeless(tunnel->arg);
		return;
	}
	wait_for_next_attempt(tunnel, was_up);
}

/* ---- libwebsockets ---- */

static int
append_headers(struct tunnel *tunnel, unsigned char **p, size_t room)
{
	const bool v2 = tunnel->options->versions != WISP_VERSION_1;
	const int n = snprintf((char *)*p, room,
		"Upgrade: websocket\r\n"
		"Connection: Upgrade\r\n"
		"Sec-WebSocket-Key: %s\r\n"
		"Sec-WebSocket-Version: 13\r\n"
		"%s",
		tunnel->key, v2 ? "Sec-WebSocket-Protocol: " PROTOCOL "\r\n" : "");

	if (n < 0 || (size_t)n >= room)
		return -1;
	*p += n;
	return 0;
}

/* A header of the response, or "" when it is not there or too long. */
static const char *
header(struct lws *wsi, enum lws_token_indexes token, char *text, int size)
{
	if (lws_hdr_copy(wsi, text, size, token) <= 0)
		text[0] = '\0';
	return text;
}

/* Any answer but 101. What the user can do about it depends on the kind. */
static void
judge_status(struct tunnel *tunnel, struct lws *wsi, unsigned status)
{
	char location[200];

	switch (status) {
	case 401:
	case 403:
	case 407:
		fail(tunnel, FAILURE_LASTING, "the server refuses access (HTTP %u); check the URL and the credentials",
			status);
		return;
	case 408:
	case 425:
	case 429:
		fail(tunnel, FAILURE_PASSING, "the server asks to come back later (HTTP %u)", status);
		return;
	default:
		break;
	}
	if (status >= 300 && status < 400)
		fail(tunnel, FAILURE_LASTING, "the server redirects to '%s' (HTTP %u); give that URL if you trust it",
			header(wsi, WSI_TOKEN_HTTP_LOCATION, location, sizeof location), status);
	else if (status >= 500)
		fail(tunnel, FAILURE_PASSING, "the server is out of order (HTTP %u)", status);
	else
		fail(tunnel, FAILURE_LASTING, "there is no WebSocket at this URL (HTTP %u); check its path", status);
}

/* Check the response to the upgrade (RFC 6455 section 4.1). Returns false when it is not what it has to be. */
static bool
check_response(struct tunnel *tunnel, struct lws *wsi)
{
	const unsigned status = lws_http_client_http_response(wsi);
	char expected[WISP_UPGRADE_ACCEPT_SIZE];
	char text[64];

	if (status != 101) {
		judge_status(tunnel, wsi, status);
		return false;
	}
	if (!wisp_upgrade_accept(tunnel->key, expected) ||
		strcmp(header(wsi, WSI_TOKEN_ACCEPT, text, sizeof text), expected) != 0) {
		fail(tunnel, FAILURE_LASTING,
			"the server's Sec-WebSocket-Accept is wrong: this is no WebSocket server");
		return false;
	}
	if (strcasecmp(header(wsi, WSI_TOKEN_UPGRADE, text, sizeof text), "websocket") != 0) {
		fail(tunnel, FAILURE_LASTING, "the server upgrades to '%s' instead of websocket", text);
		return false;
	}
	if (lws_hdr_total_length(wsi, WSI_TOKEN_EXTENSIONS) > 0) {
		fail(tunnel, FAILURE_LASTING, "the server uses a WebSocket extension that was not offered");
		return false;
	}
	if (lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0 &&
		(tunnel->options->versions == WISP_VERSION_1 ||
			strcmp(header(wsi, WSI_TOKEN_PROTOCOL, text, sizeof text), PROTOCOL) != 0)) {
		fail(tunnel, FAILURE_LASTING, "the server chose a subprotocol that was not offered");
		return false;
	}
	return true;
}

/* The connection failed before there was an answer to the upgrade. `text` is how libwebsockets puts it. */
static void
judge_connection_error(struct tunnel *tunnel, const char *text)
{
	if (tunnel->tls.refused != NULL)
		fail(tunnel, FAILURE_LASTING,
			"the server's certificate is refused: %s; trust its issuer with --cacert, or nobody with "
			"--insecure",
			tunnel->tls.refused);
	else
		fail(tunnel, FAILURE_PASSING,
			"the connection failed before there was an answer (%s); check the port, and whether it is ws "
			"or wss",
			text);
}

static bool
start_session(struct tunnel *tunnel)
{
	tunnel->session = wisp_session_new_client(tunnel->options->versions, &tunnel->session_callbacks, tunnel);
	if (tunnel->session == NULL) {
		fail(tunnel, FAILURE_PASSING, "out of memory");
		return false;
	}
	wire_init(&tunnel->wire);
	tunnel->state = TUNNEL_GREETING;
	tunnel->heard_ms = clock_now_ms();
	/* What came right behind the response is in libwebsockets already: no event will tell of it. */
	tunnel->readable = true;
	return true;
}

static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct lws_context *context = lws_get_context(wsi);
	struct tunnel *tunnel = context != NULL ? lws_context_user(context) : NULL;

	(void)user;
	if (tunnel == NULL)
		return 0;
	tunnel->callback_count++;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_headers(tunnel, in, len);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		return check_response(tunnel, wsi) && start_session(tunnel) ? 0 : -1;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		judge_connection_error(tunnel, in != NULL && len > 0 ? in : "no reason given");
		tunnel->wsi = NULL;
		break;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
		tunnel->readable = true;
		break;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		if (tunnel->session == NULL)
			break;
		tunnel->received_bytes += len;
		if (!wisp_session_feed(tunnel->session, in, len)) {
			fail(tunnel, FAILURE_PASSING, "%s", wisp_session_error(tunnel->session));
			return -1;
		}
		break;
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
		fail(tunnel, FAILURE_PASSING, "the server closed the connection");
		break;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		if (wsi != tunnel->wsi)
			break;
		fail(tunnel, FAILURE_PASSING, "the server closed the connection");
		tunnel->wsi = NULL;
		break;
	default:
		break;
	}
	return 0;
}

/* ---- the watched socket ---- */

/* Why a connection could not be made: libwebsockets would keep the reason to itself. Returns false if it could not. */
static bool
look_for_error(struct tunnel *tunnel)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (tunnel->fd < 0 || getsockopt(tunnel->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0)
		return true;
	fail(tunnel, FAILURE_PASSING, "%s", strerror(error));
	return false;
}

/* Let libwebsockets work until it has nothing left to do. It polls without waiting. */
static void
pump(struct tunnel *tunnel)
{
	for (int i = 0; i < PUMP_MAX && tunnel->wsi != NULL; i++) {
		const unsigned before = tunnel->callback_count;

		if (tunnel->state == TUNNEL_CONNECTING && !look_for_error(tunnel))
			break;
		lws_service(tunnel->context, -1);
		if (i >= PUMP_MIN && tunnel->callback_count == before &&
			lws_service_adjust_timeout(tunnel->context, 1, 0) != 0)
			break;
	}
}

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;

	(void)fd;
	if (what & EV_READ)
		tunnel->readable = true;
	run(tunnel);
}

/* libwebsockets may come with another socket at any time while it connects. */
static void
watch(struct tunnel *tunnel)
{
	const int fd = tunnel->wsi != NULL ? lws_get_socket_fd(tunnel->wsi) : -1;

	if (fd == tunnel->fd)
		return;
	unwatch(tunnel);
	if (fd < 0)
		return;
	if (event_assign(&tunnel->fd_event, tunnel->base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_fd, tunnel) !=
			0 ||
		event_add(&tunnel->fd_event, NULL) != 0) {
		fail(tunnel, FAILURE_PASSING, "cannot watch the connection");
		return;
	}
	tunnel->fd = fd;
	wire_tune_socket(fd);
}

/* Read what there is, a turn's worth at the most. */
static void
receive(struct tunnel *tunnel)
{
	for (int reads = 0; reads < READS_PER_TURN && tunnel->readable && !tunnel->paused; reads++) {
		char *p = tunnel->buffer;
		int size = WIRE_BUFFER_SIZE;
		const uint64_t before = tunnel->received_bytes;

		if (lws_http_client_read(tunnel->wsi, &p, &size) != 0) {
			fail(tunnel, FAILURE_PASSING, "the server closed the connection");
			return;
		}
		tunnel->readable = tunnel->received_bytes != before;
		if (tunnel->readable)
			tunnel->heard_ms = clock_now_ms();
	}
	if (tunnel->readable && !tunnel->paused)
		event_active(&tunnel->run_event, EV_TIMEOUT, 0);
}

static void
set_held_timer(struct tunnel *tunnel)
{
	const uint64_t deadline_ms = wisp_session_deadline_ms(tunnel->session);
	const uint64_t now_ms = clock_now_ms();
	const struct timeval tv = clock_timeval(deadline_ms > now_ms ? deadline_ms - now_ms : 0);

	if (deadline_ms != 0 && !evtimer_pending(&tunnel->held_timer, NULL))
		evtimer_add(&tunnel->held_timer, &tv);
}

static void
send_pending(struct tunnel *tunnel)
{
	if (lws_partial_buffered(tunnel->wsi))
		pump(tunnel); /* what did not fit the last time goes first */
	if (tunnel->wsi == NULL)
		return;
	switch (wire_send(&tunnel->wire, tunnel->session, tunnel->wsi, LWS_WRITE_HTTP, &tunnel->sent_bytes)) {
	case WIRE_DONE:
	case WIRE_BLOCKED:
		break;
	case WIRE_MORE:
		event_active(&tunnel->run_event, EV_TIMEOUT, 0);
		break;
	case WIRE_BROKEN:
		fail(tunnel, FAILURE_PASSING, "the connection broke");
		break;
	}
	set_held_timer(tunnel);
}

/* Everything that can be done now. All events end here. */
static void
run(struct tunnel *tunnel)
{
	if (tunnel->state == TUNNEL_CONNECTING && tunnel->failure == FAILURE_NONE) {
		pump(tunnel);
		watch(tunnel);
	}
	if (tunnel->session != NULL && tunnel->wsi != NULL && tunnel->failure == FAILURE_NONE)
		receive(tunnel);
	/* After an error, too: the session has a close frame to send. */
	if (tunnel->session != NULL && tunnel->wsi != NULL)
		send_pending(tunnel);
	if (tunnel->failure != FAILURE_NONE)
		on_failure(tunnel);
}

/* ---- timers ---- */

static void
on_run(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	run(arg);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;
	const struct timeval tv = clock_timeval(TICK_MS);

	(void)fd, (void)what;
	evtimer_add(&tunnel->tick_timer, &tv);
	run(tunnel);
}

static void
on_attempt_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;

	(void)fd, (void)what;
	switch (tunnel->state) {
	case TUNNEL_WAITING:
		begin_attempt(tunnel);
		return;
	case TUNNEL_RESOLVING:
		fail(tunnel, FAILURE_PASSING, "no answer from the name servers for %s", tunnel->options->url.host);
		break;
	case TUNNEL_CONNECTING:
		fail(tunnel, FAILURE_PASSING, "no answer from the server; check the port, and whether it is ws or wss");
		break;
	case TUNNEL_GREETING:
		fail(tunnel, FAILURE_PASSING,
			"the server does not begin to speak Wisp; check that the URL is a Wisp server's");
		break;
	case TUNNEL_UP:
	case TUNNEL_STOPPED:
		return;
	}
	on_failure(tunnel);
}

static void
on_ping_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;
	const uint64_t silent_ms = clock_now_ms() - tunnel->heard_ms;

	(void)fd, (void)what;
	/* The clock is coarse; a tick's worth of haste would call a tunnel dead one interval later than it is. */
	if (!tunnel->paused && silent_ms + TICK_MS / 10 >= 2 * tunnel->options->ping_interval_ms) {
		fail(tunnel, FAILURE_PASSING, "nothing was heard from the server for %.3g s", (double)silent_ms / 1000);
		on_failure(tunnel);
		return;
	}
	wisp_session_ping(tunnel->session);
}

/* ---- the session ---- */

static void
on_ready(void *arg)
{
	struct tunnel *tunnel = arg;
	const struct timeval tv = clock_timeval(tunnel->options->ping_interval_ms);

	tunnel->state = TUNNEL_UP;
	tunnel->ever_up = true;
	tunnel->up_ms = clock_now_ms();
	evtimer_del(&tunnel->attempt_timer);
	evtimer_del(&tunnel->tick_timer);
	if (tunnel->options->ping_interval_ms > 0)
		event_add(&tunnel->ping_timer, &tv);
	log_info("connected to %s (wisp v%u, %s)", tunnel->options->url.text, wisp_session_version(tunnel->session),
		tunnel->options->url.tls ? SSL_get_version(lws_get_ssl(tunnel->wsi)) : "no TLS");
	notify_status("connected to %s", tunnel->options->url.authority);
	tunnel->callbacks->up(tunnel->arg);
}

static void
on_wake(void *arg)
{
	struct tunnel *tunnel = arg;

	event_active(&tunnel->run_event, EV_TIMEOUT, 0);
}

/* ---- attempts ---- */

static void
try_address(struct tunnel *tunnel)
{
	const struct url *url = &tunnel->options->url;
	const struct timeval tick = clock_timeval(TICK_MS);
	const struct timeval limit = clock_timeval(tunnel->address->ai_next != NULL ? ADDRESS_MS : ATTEMPT_MS);
	char host[NI_MAXHOST];
	struct lws_client_connect_info info = {
		.context = tunnel->context,
		.address = host,
		.port = url->port,
		.path = url->path,
		.host = url->authority,
		.method = "GET",
		.alpn = "http/1.1",
		.ssl_connection = (url->tls ? LCCSCF_USE_SSL : 0) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.local_protocol_name = "wisp",
		.pwsi = &tunnel->wsi,
	};

	tunnel->state = TUNNEL_CONNECTING;
	tunnel->failure = FAILURE_NONE;
	tunnel->tls.refused = NULL;
	if (!wisp_upgrade_key(tunnel->key))
		fail(tunnel, FAILURE_PASSING, "no randomness for the WebSocket's key");
	if (getnameinfo(tunnel->address->ai_addr, (socklen_t)tunnel->address->ai_addrlen, host, sizeof host, NULL, 0,
		    NI_NUMERICHOST) != 0)
		fail(tunnel, FAILURE_PASSING, "an address of a strange kind");
	evtimer_add(&tunnel->attempt_timer, &limit);
	evtimer_add(&tunnel->tick_timer, &tick);
	if (tunnel->failure == FAILURE_NONE && lws_client_connect_via_info(&info) == NULL)
		judge_connection_error(tunnel, "out of memory");
	watch(tunnel);
	/* The rest happens outside of the caller, which may be on its way out of a failure. */
	event_active(&tunnel->run_event, EV_TIMEOUT, 0);
}

static void
on_resolved(int error, struct evutil_addrinfo *found, void *arg)
{
	struct tunnel *tunnel = arg;

	tunnel->query = NULL;
	if (error != 0) {
		fail(tunnel, FAILURE_PASSING, "cannot resolve %s: %s", tunnel->options->url.host,
			error == EVUTIL_EAI_NONAME ? "no such host" : evutil_gai_strerror(error));
		on_failure(tunnel);
		return;
	}
	tunnel->addresses = tunnel->address = found;
	try_address(tunnel);
}

static void
begin_attempt(struct tunnel *tunnel)
{
	const struct timeval limit = clock_timeval(ATTEMPT_MS);

	tunnel->state = TUNNEL_RESOLVING;
	tunnel->failure = FAILURE_NONE;
	tunnel->attempted_ms = clock_now_ms();
	evtimer_add(&tunnel->attempt_timer, &limit);
	tunnel->query = resolver_lookup(
		tunnel->resolver, tunnel->options->url.host, tunnel->options->url.port, on_resolved, tunnel);
	if (tunnel->query == NULL) {
		fail(tunnel, FAILURE_PASSING, "out of memory");
		on_failure(tunnel);
	}
}

void
tunnel_hurry(struct tunnel *tunnel)
{
	const uint64_t since_ms = clock_now_ms() - tunnel->attempted_ms;
	const uint64_t wait_ms = since_ms < HURRY_MS ? HURRY_MS - since_ms : 0;
	const struct timeval tv = clock_timeval(wait_ms);

	if (tunnel->state == TUNNEL_WAITING && clock_now_ms() + wait_ms < tunnel->next_attempt_ms)
		evtimer_add(&tunnel->attempt_timer, &tv);
}

void
tunnel_pause(struct tunnel *tunnel)
{
	tunnel->paused = true;
}

void
tunnel_resume(struct tunnel *tunnel)
{
	if (!tunnel->paused)
		return;
	tunnel->paused = false;
	tunnel->heard_ms = clock_now_ms(); /* it was we who did not listen */
	if (tunnel->session != NULL)
		event_active(&tunnel->run_event, EV_TIMEOUT, 0);
}

struct wisp_session *
tunnel_session(struct tunnel *tunnel)
{
	return tunnel->state == TUNNEL_UP && tunnel->failure == FAILURE_NONE ? tunnel->session : NULL;
}

/* ---- life ---- */

static struct lws_context *
create_context(struct tunnel *tunnel)
{
	static const struct lws_protocols protocols[] = {
		{.name = "wisp", .callback = on_lws, .tx_packet_size = WIRE_BUFFER_SIZE},
		{0},
	};
	struct lws_context_creation_info info;

	/* One connection at a time, and libwebsockets' own few descriptors. */
	wire_context_info(&info, 16);
	info.protocols = protocols;
	info.provided_client_ssl_ctx = tunnel->tls.context;
	info.user = tunnel;
	return lws_create_context(&info);
}

struct tunnel *
tunnel_new(struct event_base *base, const struct tunnel_options *options, const struct tunnel_callbacks *callbacks,
	void *arg)
{
	struct tunnel *tunnel = calloc(1, sizeof *tunnel);

	if (tunnel == NULL)
		return NULL;
	tunnel->base = base;
	tunnel->options = options;
	tunnel->callbacks = callbacks;
	tunnel->arg = arg;
	tunnel->session_callbacks = callbacks->streams;
	tunnel->session_callbacks.ready = on_ready;
	tunnel->session_callbacks.wake = on_wake;
	tunnel->fd = -1;
	tunnel->delay_ms = DELAY_MIN_MS;
	evtimer_assign(&tunnel->attempt_timer, base, on_attempt_timer, tunnel);
	evtimer_assign(&tunnel->tick_timer, base, on_tick, tunnel);
	evtimer_assign(&tunnel->run_event, base, on_run, tunnel);
	evtimer_assign(&tunnel->held_timer, base, on_run, tunnel);
	event_assign(&tunnel->ping_timer, base, -1, EV_PERSIST, on_ping_timer, tunnel);
	tunnel->buffer = malloc(WIRE_BUFFER_SIZE);
	tunnel->resolver = resolver_new(base);
	if (!tls_init(&tunnel->tls, &options->url, options->cacert, options->insecure)) {
		tunnel_free(tunnel);
		return NULL;
	}
	tunnel->context = create_context(tunnel);
	if (tunnel->context == NULL || tunnel->buffer == NULL || tunnel->resolver == NULL) {
		log_error("cannot set up libwebsockets");
		tunnel_free(tunnel);
		return NULL;
	}
	begin_attempt(tunnel);
	return tunnel;
}

void
tunnel_free(struct tunnel *tunnel)
{
	if (tunnel == NULL)
		return;
	if (tunnel_session(tunnel) != NULL) {
		wisp_session_shutdown(tunnel->session, WISP_WS_GOING_AWAY);
		send_pending(tunnel);
	}
	tunnel->state = TUNNEL_STOPPED;
	disconnect(tunnel);
	forget_addresses(tunnel);
	if (tunnel->context != NULL)
		lws_context_destroy(tunnel->context);
	resolver_free(tunnel->resolver);
	tls_free(&tunnel->tls);
	free(tunnel->buffer);
	free(tunnel);
}
