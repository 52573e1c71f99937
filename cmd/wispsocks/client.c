#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "address.h"
#include "association.h"
#include "clock.h"
#include "log.h"
#include "negotiation.h"
#include "orphan.h"
#include "timer.h"

#define HANDSHAKE_MS 10000
/* How long a server has to confirm a stream, when the program waits for that. */
#define OPENING_MS 60000
/*
 * How long a stream without anything moving waits for the answer to a program that has ended its own data, when the
 * server has no way to tell the far end.
 */
#define HALF_CLOSED_MS 300000
/*
 * How often to look whether such a program is still there; and how long its last data has at the least to get through.
 * A server has so long to close a stream whose both directions have ended.
 */
#define HALF_CLOSED_CHECK_MS 5000
/* The same for programs on other machines, and for those with an association, by keepalive probes, in seconds. */
#define PROBE_AFTER_S 15
#define PROBE_EVERY_S 15
#define PROBES 4

static const struct wisp_stream_callbacks stream_callbacks;

/* ---- timers ---- */

static bool
set_timer(struct client *client, uint64_t ms)
{
	return timer_set(&client->timer, ms);
}

/* How long nothing may move on an open stream; 0 is for ever. */
static uint64_t
idle_limit_ms(const struct client *client)
{
	const uint64_t limit_ms = client->bridge->options->idle_timeout_ms;

	if (relay_state(client->relay) != RELAY_EOF)
		return limit_ms;
	if (client->told)
		return client->server_ended ? HALF_CLOSED_CHECK_MS : limit_ms;
	return limit_ms != 0 && limit_ms < HALF_CLOSED_MS ? limit_ms : HALF_CLOSED_MS;
}

/*
 * Whether a program that has ended its data has closed its connection altogether. Not at once: a CLOSE makes many
 * servers drop what they have yet to pass on.
 */
static bool
has_hung_up(const struct client *client, uint64_t idle_ms)
{
	return relay_state(client->relay) == RELAY_EOF && idle_ms >= HALF_CLOSED_CHECK_MS &&
	       peer_is_orphan(relay_socket(client->relay));
}

/* Close a stream on which nothing moves. The program has all of it only if both directions have ended. */
static void
close_idle(struct client *client)
{
	wisp_stream_close(client->stream, WISP_REASON_VOLUNTARY);
	client->stream = NULL;
	if (client->told && client->server_ended)
		client_leave(client);
	else
		client_free(client);
}

/* The timer is not moved with each byte: when it ends, it looks how long ago the last one was. */
static void
check_idle(struct client *client)
{
	const uint64_t limit_ms = idle_limit_ms(client);
	const uint64_t idle_ms = relay_idle_ms(client->relay);
	const bool in_time = limit_ms == 0 || idle_ms < limit_ms;

	if (!in_time || has_hung_up(client, idle_ms)) {
		log_debug("stream %u: nothing moved for %.3g s%s", wisp_stream_id(client->stream),
			(double)idle_ms / 1000, in_time ? ", and the program has hung up" : "");
		close_idle(client);
	} else if (relay_state(client->relay) == RELAY_EOF &&
		   (limit_ms == 0 || limit_ms - idle_ms > HALF_CLOSED_CHECK_MS)) {
		set_timer(client, HALF_CLOSED_CHECK_MS);
	} else if (limit_ms != 0) {
		set_timer(client, limit_ms - idle_ms);
	}
}

/* ---- the end ---- */

/* Whether the program would take a close for the end of complete data. */
static bool
is_cut(const struct client *client)
{
	return client->state == CLIENT_OPEN || relay_state(client->relay) == RELAY_DRAINING;
}

void
client_free(struct client *client)
{
	if (client->stream != NULL)
		wisp_stream_close(client->stream, WISP_REASON_NETWORK_ERROR);
	association_free(client->association);
	if (is_cut(client))
		relay_abort(client->relay);
	else
		relay_free(client->relay);
	event_del(&client->timer);
	bridge_forget(client->bridge, client);
	negotiation_free(client->negotiation);
	free(client);
}

void
client_leave(struct client *client)
{
	client->state = CLIENT_ENDING;
	event_del(&client->timer);
	relay_finish(client->relay, client->bridge->options->stall_timeout_ms);
}

/* The program's socket broke. */
void
client_lose(struct client *client)
{
	if (client->stream != NULL) {
		log_debug("stream %u: the program is gone: %s", wisp_stream_id(client->stream),
			strerror(relay_error(client->relay)));
		wisp_stream_close(client->stream,
			relay_error(client->relay) == ENOMEM ? WISP_REASON_CLIENT_ERROR : WISP_REASON_NETWORK_ERROR);
		client->stream = NULL;
	}
	client_free(client);
}

bool
client_end_if_stalled(struct client *client)
{
	const uint64_t stalled_ms = relay_stalled_ms(client->relay);

	if (stalled_ms == 0 || stalled_ms < client->bridge->options->stall_timeout_ms)
		return false;
	log_warning("a program takes no data and holds up the others: its connection is closed");
	if (client->stream != NULL)
		wisp_stream_close(client->stream, WISP_REASON_CLIENT_ERROR);
	client->stream = NULL;
	client_free(client);
	return true;
}

/* ---- the stream ---- */

/* What a program is told of a stream that could not be opened. The manual has this table too. */
static enum wisp_socks5_reply
reply_for(uint8_t reason)
{
	switch ((enum wisp_reason)reason) {
	case WISP_REASON_BLOCKED:
		return WISP_SOCKS5_NOT_ALLOWED;
	case WISP_REASON_NETWORK_ERROR:
		return WISP_SOCKS5_NETWORK_UNREACHABLE;
	case WISP_REASON_INVALID:
	case WISP_REASON_UNREACHABLE:
		return WISP_SOCKS5_HOST_UNREACHABLE;
	case WISP_REASON_REFUSED:
		return WISP_SOCKS5_REFUSED;
	case WISP_REASON_TIMED_OUT:
		return WISP_SOCKS5_TTL_EXPIRED;
	default:
		return WISP_SOCKS5_FAILURE;
	}
}

void
client_refuse(struct client *client, enum wisp_socks5_reply code)
{
	uint8_t reply[WISP_SOCKS5_REPLY_MAX];

	if (relay_write(client->relay, reply, wisp_socks5_reply(reply, code, NULL)))
		client_leave(client);
	else
		client_lose(client);
}

bool
client_accept(struct client *client, const struct wisp_socks5_address *address)
{
	uint8_t reply[WISP_SOCKS5_REPLY_MAX];

	event_del(&client->timer);
	negotiation_free(client->negotiation);
	client->negotiation = NULL;
	if (relay_write(client->relay, reply, wisp_socks5_reply(reply, WISP_SOCKS5_SUCCEEDED, address)))
		return true;
	client_lose(client);
	return false;
}

/* The program may send. Returns false when that was the end of the client. */
static bool
begin_stream(struct client *client)
{
	const uint64_t limit_ms = idle_limit_ms(client);

	client->state = CLIENT_OPEN;
	if (!client_accept(client, NULL))
		return false;
	if (limit_ms != 0)
		set_timer(client, limit_ms);
	wisp_stream_ready(client->stream);
	return true;
}

static void
open_stream(struct client *client, struct wisp_session *session)
{
	struct bridge *bridge = client->bridge;
	const struct wisp_socks5_destination *to = &client->negotiation->request.destination;
	const struct wisp_destination destination = {WISP_TCP, to->port, to->host, to->host_size};
	char text[ADDRESS_JOINED_SIZE];

	/* Streams whose CLOSE the server does not take count too: programs that come and go must not pile them up. */
	if (wisp_session_stream_count(session) < 2 * bridge->options->max_clients + ASSOCIATION_STREAMS_MAX)
		client->stream = wisp_stream_open(session, &destination, &stream_callbacks, client);
	if (client->stream == NULL) {
		client_refuse(client, WISP_SOCKS5_FAILURE);
		return;
	}
	bridge->counters.tcp_streams++;
	log_debug("stream %u: CONNECT to %s", wisp_stream_id(client->stream), address_join(to->host, to->port, text));
	if (bridge->options->tunnel.confirm && wisp_session_handshake(session)->confirmation) {
		client->state = CLIENT_OPENING;
		set_timer(client, OPENING_MS);
	} else {
		begin_stream(client);
	}
}

/* Find out by probes when the program's machine is gone: nothing is to be heard from the program itself. */
static void
probe(const struct client *client)
{
	const int on = 1, after = PROBE_AFTER_S, every = PROBE_EVERY_S, count = PROBES;
	const evutil_socket_t fd = relay_socket(client->relay);

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/* The association ends with this connection, on which there is nothing more to be said. */
static void
watch_associated(struct client *client)
{
	relay_discard(client->relay);
	if (relay_state(client->relay) != RELAY_OPEN)
		client_free(client);
}

static void
associate(struct client *client, struct wisp_session *session)
{
	struct wisp_socks5_address address;

	if (!wisp_session_handshake(session)->udp) {
		log_debug("a program asks for UDP, which the server does not have");
		client_refuse(client, WISP_SOCKS5_COMMAND_UNSUPPORTED);
		return;
	}
	client->association = association_new(client, &client->negotiation->request.destination, &address);
	if (client->association == NULL) {
		client_refuse(client, WISP_SOCKS5_FAILURE);
		return;
	}
	client->state = CLIENT_ASSOCIATED;
	probe(client);
	if (client_accept(client, &address))
		watch_associated(
			client); /* the end of its connection may be there already, and is announced only once */
}

/* Do what the client asks for. */
static void
serve(struct client *client, struct wisp_session *session)
{
	event_del(&client->timer);
	if (client->negotiation->request.command == WISP_SOCKS5_UDP_ASSOCIATE)
		associate(client, session);
	else
		open_stream(client, session);
}

void
client_on_tunnel_up(struct client *client)
{
	struct wisp_session *session = tunnel_session(client->bridge->tunnel);

	if (client->state == CLIENT_WAITING)
		serve(client, session);
	else if (client->state == CLIENT_ASSOCIATED && !wisp_session_handshake(session)->udp)
		client_free(client); /* this server has none */
}

void
client_request(struct client *client)
{
	const struct wisp_socks5_request *request = &client->negotiation->request;
	const bool udp = request->command == WISP_SOCKS5_UDP_ASSOCIATE && client->bridge->options->tunnel.udp;
	struct wisp_session *session = tunnel_session(client->bridge->tunnel);

	if (request->command != WISP_SOCKS5_CONNECT && !udp) {
		log_debug("a program asks for SOCKS5 command %u, which is not supported", request->command);
		client_refuse(client, WISP_SOCKS5_COMMAND_UNSUPPORTED);
		return;
	}
	client->state = CLIENT_WAITING;
	if (session != NULL) {
		serve(client, session);
		return;
	}
	set_timer(client, client->bridge->options->connect_timeout_ms);
	tunnel_hurry(client->bridge->tunnel, client->bridge->options->connect_timeout_ms);
}

/*
 * The program has ended its data. The stream stays open for the answer, unless the far end has ended before. Whether
 * anybody still waits for the answer, probes tell.
 */
static void
half_close(struct client *client)
{
	if (client->server_ended) {
		log_debug("stream %u: both ends have ended their data", wisp_stream_id(client->stream));
		wisp_stream_close(client->stream, WISP_REASON_VOLUNTARY);
		client->stream = NULL;
		client_leave(client);
		return;
	}
	probe(client);
	client->told = wisp_stream_end(client->stream);
	log_debug("stream %u: the program has ended its data%s", wisp_stream_id(client->stream),
		client->told ? "" : ", which the far end cannot know");
	check_idle(client);
}

static size_t
on_stream_read(void *arg, uint8_t *p, size_t n)
{
	struct client *client = arg;
	const bool was_open = relay_state(client->relay) == RELAY_OPEN;
	const size_t size = relay_read(client->relay, p, n);

	client->bridge->counters.up_bytes += size;
	if (relay_state(client->relay) == RELAY_BROKEN)
		client_lose(client);
	else if (was_open && relay_state(client->relay) == RELAY_EOF)
		half_close(client);
	return size;
}

static size_t
on_stream_available(void *arg)
{
	const struct client *client = arg;

	return relay_available(client->relay);
}

static void
on_stream_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct client *client = arg;
	struct bridge *bridge = client->bridge;

	(void)last;
	bridge->counters.down_bytes += n;
	client->has_data = true;
	if (client->state == CLIENT_OPENING && !begin_stream(client))
		return;
	if (!relay_write(client->relay, p, n))
		client_lose(client);
	bridge_check_budget(bridge);
}

static void
on_stream_granted(void *arg)
{
	struct client *client = arg;

	if (client->state == CLIENT_OPENING)
		begin_stream(client);
}

/* The far end has ended its data. The program may go on. */
static void
on_stream_ended(void *arg)
{
	struct client *client = arg;

	log_debug("stream %u: the far end has ended its data", wisp_stream_id(client->stream));
	if (client->state == CLIENT_OPENING && !begin_stream(client))
		return;
	client->server_ended = true;
	relay_end_data(client->relay);
	if (client->told)
		set_timer(client, HALF_CLOSED_CHECK_MS);
}

/* Whether nobody misses anything: both directions have ended, or the program has hung up after there was an answer. */
static bool
is_complete(const struct client *client)
{
	if (client->state != CLIENT_OPEN || relay_state(client->relay) != RELAY_EOF)
		return false;
	return client->server_ended || (client->has_data && peer_is_orphan(relay_socket(client->relay)));
}

static void
on_stream_closed(void *arg, uint8_t reason)
{
	struct client *client = arg;
	struct bridge *bridge = client->bridge;

	log_debug("stream %u: %s (0x%02x)", wisp_stream_id(client->stream), wisp_reason_text(reason), reason);
	client->stream = NULL;
	reason = ends_judge(
		&bridge->ends, bridge->options->ends_mode, reason, client->has_data && !client->server_ended);
	if (reason != WISP_REASON_NETWORK_ERROR || !is_complete(client))
		counters_end(&bridge->counters, reason);
	if (client->state == CLIENT_OPENING) {
		client_refuse(client, reply_for(reason));
		return;
	}
	if (reason == WISP_REASON_VOLUNTARY) {
		client_leave(client);
		return;
	}
	/* Only a stream that ended well ends like a complete one. */
	client->state = CLIENT_ENDING;
	event_del(&client->timer);
	relay_fail(client->relay, bridge->options->stall_timeout_ms);
}

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_stream_data,
	.closed = on_stream_closed,
	.read = on_stream_read,
	.available = on_stream_available,
	.granted = on_stream_granted,
	.ended = on_stream_ended,
};

/* ---- events ---- */

/* Nothing reads from a socket whose stream has no credit, or whose tunnel takes nothing. */
static bool
on_readable(void *arg)
{
	struct client *client = arg;

	switch (client->state) {
	case CLIENT_GREETING:
	case CLIENT_PASSWORD:
	case CLIENT_REQUEST:
		negotiation_advance(client);
		break;
	case CLIENT_WAITING:
	case CLIENT_OPENING:
		return false;
	case CLIENT_OPEN:
		return wisp_stream_ready(client->stream) && !tunnel_is_blocked(client->bridge->tunnel);
	case CLIENT_ASSOCIATED:
		watch_associated(client);
		break;
	case CLIENT_ENDING:
		break;
	}
	return true;
}

static void
on_drained(void *arg)
{
	const struct client *client = arg;

	bridge_check_budget(client->bridge);
}

static void
on_broken(void *arg)
{
	client_lose(arg);
}

static void
on_done(void *arg)
{
	client_free(arg);
}

static const struct relay_callbacks relay_callbacks = {
	.readable = on_readable,
	.drained = on_drained,
	.broken = on_broken,
	.done = on_done,
};

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct client *client = arg;

	(void)fd, (void)what;
	switch (client->state) {
	case CLIENT_GREETING:
	case CLIENT_PASSWORD:
	case CLIENT_REQUEST:
		log_debug("a program did not finish its SOCKS handshake");
		client_free(client);
		break;
	case CLIENT_WAITING:
		log_debug("a program waited too long for the tunnel");
		client_refuse(client, WISP_SOCKS5_FAILURE);
		break;
	case CLIENT_OPENING:
		log_debug("stream %u: the server did not say whether it is open", wisp_stream_id(client->stream));
		wisp_stream_close(client->stream, WISP_REASON_VOLUNTARY);
		client->stream = NULL;
		client_refuse(client, WISP_SOCKS5_TTL_EXPIRED);
		break;
	case CLIENT_OPEN:
		check_idle(client);
		break;
	case CLIENT_ASSOCIATED:
	case CLIENT_ENDING:
		break;
	}
}

struct client *
client_new(struct bridge *bridge, evutil_socket_t fd, const struct sockaddr *from, struct source *source)
{
	struct client *client = calloc(1, sizeof *client);
	struct negotiation *negotiation = negotiation_new(from);

	if (client != NULL) {
		client->relay = relay_new(&relay_callbacks, client, &bridge->backlog_bytes);
		evtimer_assign(&client->timer, bridge->base, on_timer, client);
	}
	if (client == NULL || negotiation == NULL || client->relay == NULL || !set_timer(client, HANDSHAKE_MS) ||
		!relay_open(client->relay, bridge->base, fd)) {
		if (client != NULL) {
			event_del(&client->timer);
			relay_free(client->relay);
		}
		negotiation_free(negotiation);
		free(client);
		close(fd);
		return NULL;
	}
	client->bridge = bridge;
	client->source = source;
	client->negotiation = negotiation;
	if (source != NULL)
		probe(client); /* a machine that is gone must not keep its place */
	return client;
}
