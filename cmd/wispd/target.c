#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "address.h"
#include "clock.h"
#include "log.h"
#include "peer.h"
#include "relay.h"
#include "resolver.h"
#include "server.h"
#include "udp.h"

#define RESOLVE_MS 10000
#define CONNECT_MS 10000
/* A target that says nothing for so long is asked by keepalive probes whether it is still there, in seconds. */
#define PROBE_AFTER_S 600
#define PROBE_EVERY_S 60
/* A target that takes nothing of what waits for it for this long is given up. */
#define STALL_MS 60000
/* What streams that are over may leave behind for their targets, over all peers, and how many of these there may be. */
#define DRAINING_MAX ((size_t)256 << 20)
#define DRAINING_TARGETS_MAX 4096

enum target_state {
	TARGET_RESOLVING,
	TARGET_CONNECTING,
	TARGET_CONNECTED, /* from here on, the relay knows */
};

struct target {
	TAILQ_ENTRY(target) entry;  /* in the server's list, when the stream is over */
	struct peer *peer;          /* NULL then: it may be gone */
	struct wisp_stream *stream; /* NULL then */
	struct server *server;
	struct relay *relay;
	struct event event; /* until CONNECTED: the socket that is being connected, and the time for it */
	struct resolver_query *query;
	struct addresses addresses;
	size_t next_address; /* the next to be tried */
	int fd;              /* CONNECTING: of the address before it */
	enum target_state state;
	uint8_t reason; /* why no address could be connected */
};

static void on_attempt(evutil_socket_t fd, short what, void *arg);

/* ---- the end ---- */

/* Stop looking up and connecting. */
static void
stop_connecting(struct target *target)
{
	if (target->query != NULL)
		resolver_cancel(target->query);
	target->query = NULL;
	event_del(&target->event);
	if (target->fd >= 0)
		close(target->fd);
	target->fd = -1;
}

static void
target_free(struct target *target, bool reset)
{
	struct peer *peer = target->peer;

	stop_connecting(target);
	if (peer == NULL) {
		TAILQ_REMOVE(&target->server->draining, target, entry);
		target->server->draining_count--;
	}
	target->server->target_count--;
	if (reset)
		relay_abort(target->relay);
	else
		relay_free(target->relay);
	free(target);
	if (peer != NULL)
		peer_check_budget(peer);
}

/* Close the stream and the connection. */
static void
end(struct target *target, uint8_t reason)
{
	if (target->stream != NULL) {
		log_debug("%s: stream %u: %s", target->peer->name, wisp_stream_id(target->stream),
			wisp_reason_text(reason));
		wisp_stream_close(target->stream, reason);
	}
	target_free(target, true);
}

static uint8_t
reason_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return WISP_REASON_REFUSED;
	case ETIMEDOUT:
		return WISP_REASON_TIMED_OUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EADDRNOTAVAIL:
	case ENETDOWN:
		return WISP_REASON_UNREACHABLE;
	case EACCES:
	case EPERM:
		return WISP_REASON_BLOCKED;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return WISP_REASON_THROTTLED;
	default:
		return WISP_REASON_NETWORK_ERROR;
	}
}

/* ---- the stream ---- */

static void
report_backlog(void *arg)
{
	struct target *target = arg;

	if (target->stream != NULL)
		wisp_stream_set_backlog(target->stream, relay_backlog(target->relay));
	if (target->peer != NULL)
		peer_check_budget(target->peer);
}

/* Make room for one that has data: of those that the kernel has all of, the one that has had the most time for it. */
static void
drop_one_leaving(struct server *server)
{
	struct target *target;

	TAILQ_FOREACH (target, &server->draining, entry)
		if (relay_state(target->relay) == RELAY_LEAVING) {
			target_free(target, false);
			return;
		}
}

/*
 * The stream is over, and its peer may go at any time, but what it brought shall reach the target, which may have yet
 * to be connected.
 */
static void
finish(struct target *target)
{
	struct server *server = target->server;
	const size_t waiting = relay_backlog(target->relay);

	target->stream = NULL;
	if (server->draining_count == DRAINING_TARGETS_MAX)
		drop_one_leaving(server);
	if (waiting > DRAINING_MAX - server->draining_bytes || server->draining_count == DRAINING_TARGETS_MAX) {
		target_free(target, waiting > 0);
		return;
	}
	relay_charge(target->relay, &server->draining_bytes);
	peer_check_budget(target->peer);
	target->peer = NULL;
	TAILQ_INSERT_TAIL(&server->draining, target, entry);
	server->draining_count++;
	relay_finish(target->relay, STALL_MS);
}

void
target_drop_draining(struct server *server)
{
	struct target *target;

	while ((target = TAILQ_FIRST(&server->draining)) != NULL)
		target_free(target, relay_state(target->relay) != RELAY_LEAVING);
}

/* The destination's data has ended. To a client that knows of no such thing, the stream has. */
static void
end_data(struct target *target)
{
	log_debug("%s: stream %u: the destination has ended its data", target->peer->name,
		wisp_stream_id(target->stream));
	if (wisp_stream_end(target->stream))
		return;
	wisp_stream_close(target->stream, WISP_REASON_VOLUNTARY);
	finish(target);
}

static size_t
on_stream_read(void *arg, uint8_t *p, size_t n)
{
	struct target *target = arg;
	const size_t size = relay_read(target->relay, p, n);

	if (relay_state(target->relay) == RELAY_BROKEN)
		end(target, reason_of(relay_error(target->relay)));
	else if (relay_state(target->relay) == RELAY_EOF)
		end_data(target);
	return size;
}

static size_t
on_stream_available(void *arg)
{
	const struct target *target = arg;

	return relay_available(target->relay);
}

static void
on_stream_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct target *target = arg;

	(void)last;
	if (!relay_write(target->relay, p, n))
		end(target, reason_of(relay_error(target->relay)));
	else
		report_backlog(target);
}

static void
on_stream_ended(void *arg)
{
	struct target *target = arg;

	log_debug("%s: stream %u: the client has ended its data", target->peer->name, wisp_stream_id(target->stream));
	relay_end_data(target->relay);
}

/* Whether it would miss something, were it given up now: one that is yet to be connected need not be for nothing. */
static bool
has_something(const struct target *target)
{
	if (relay_state(target->relay) == RELAY_CONNECTING)
		return relay_backlog(target->relay) > 0 && target->query == NULL;
	return true;
}

static void
on_stream_closed(void *arg, uint8_t reason)
{
	struct target *target = arg;

	log_debug("%s: stream %u: over: %s", target->peer->name, wisp_stream_id(target->stream),
		wisp_reason_text(reason));
	target->stream = NULL;
	if (reason == WISP_REASON_VOLUNTARY && has_something(target))
		finish(target);
	else
		target_free(target, true);
}

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_stream_data,
	.closed = on_stream_closed,
	.read = on_stream_read,
	.available = on_stream_available,
	.ended = on_stream_ended,
};

/* ---- the socket ---- */

static bool
on_readable(void *arg)
{
	struct target *target = arg;

	if (target->stream != NULL)
		wisp_stream_ready(target->stream);
	return true;
}

static void
on_broken(void *arg)
{
	struct target *target = arg;
	const int error = relay_error(target->relay);

	end(target, error == ETIMEDOUT && relay_backlog(target->relay) > 0 ? WISP_REASON_TRANSFER_TIMED_OUT
									   : reason_of(error));
}

static void
on_done(void *arg)
{
	target_free(arg, false);
}

static const struct relay_callbacks relay_callbacks = {
	.readable = on_readable,
	.drained = report_backlog,
	.broken = on_broken,
	.done = on_done,
};

/* ---- connecting ---- */

/* Start to connect a socket to an address. Returns it, or -1 with errno. */
static int
start_connect(const struct address *address)
{
	const struct sockaddr *const sa = (const struct sockaddr *)&address->storage;
	const int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1, after = PROBE_AFTER_S, every = PROBE_EVERY_S;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
	if (connect(fd, sa, address->size) != 0 && errno != EINPROGRESS) {
		const int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* A block by policy explains more than an address that did not answer, and that more than what came before. */
static void
note_failure(struct target *target, uint8_t reason)
{
	if (target->reason != WISP_REASON_BLOCKED)
		target->reason = reason;
}

/* Watch the socket that is being connected for as long as it may take. */
static bool
watch_attempt(struct target *target, int fd)
{
	const struct timeval tv = clock_timeval(CONNECT_MS);

	event_del(&target->event);
	if (event_assign(&target->event, target->server->base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_attempt,
		    target) != 0 ||
		event_add(&target->event, &tv) != 0) {
		close(fd);
		return false;
	}
	target->fd = fd;
	target->state = TARGET_CONNECTING;
	return true;
}

/* Try the addresses from the next one on, until a connection is under way or none is left. */
static void
try_addresses(struct target *target)
{
	while (target->next_address < target->addresses.count) {
		const struct address *address = &target->addresses.items[target->next_address++];
		const uint8_t refusal =
			policy_check(&target->server->options->policy, (const struct sockaddr *)&address->storage);
		int fd;

		if (refusal != 0) {
			note_failure(target, refusal);
			continue;
		}
		fd = start_connect(address);
		if (fd < 0 || !watch_attempt(target, fd)) {
			note_failure(target, fd < 0 ? reason_of(errno) : WISP_REASON_THROTTLED);
			continue;
		}
		return;
	}
	end(target, target->reason);
}

static void
try_next(struct target *target, uint8_t reason)
{
	note_failure(target, reason);
	event_del(&target->event);
	close(target->fd);
	target->fd = -1;
	try_addresses(target);
}

static void
on_resolved(enum resolver_result result, const struct addresses *found, void *arg)
{
	struct target *target = arg;

	target->query = NULL;
	target->addresses = *found;
	if (result != RESOLVER_FOUND && target->stream != NULL)
		log_debug("%s: stream %u: the name does not resolve: %s", target->peer->name,
			wisp_stream_id(target->stream), resolver_text(result));
	try_addresses(target);
}

/* The relay takes the socket over, which is watched all the while: it costs no system calls. */
static void
hand_over(struct target *target)
{
	const int fd = target->fd;

	if (!relay_open(target->relay, target->server->base, fd)) {
		end(target, WISP_REASON_THROTTLED);
		return;
	}
	target->fd = -1;
	stop_connecting(target);
	target->state = TARGET_CONNECTED;
	report_backlog(target);
	if (target->stream == NULL)
		return;
	wisp_stream_confirm(target->stream);
	wisp_stream_ready(target->stream);
}

static void
on_attempt(evutil_socket_t fd, short what, void *arg)
{
	struct target *target = arg;
	int error = 0;
	socklen_t size = sizeof error;

	if (target->state == TARGET_RESOLVING) {
		end(target, WISP_REASON_UNREACHABLE);
		return;
	}
	if (what & EV_TIMEOUT) {
		try_next(target, WISP_REASON_TIMED_OUT);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0)
		try_next(target, reason_of(error));
	else if (what & EV_WRITE)
		hand_over(target);
}

void
target_open(struct peer *peer, struct wisp_stream *stream, const struct wisp_destination *destination)
{
	const struct timeval tv = clock_timeval(RESOLVE_MS);
	struct target *target;
	char host[WISP_HOST_MAX + 1];
	char text[ADDRESS_JOINED_SIZE];

	memcpy(host, destination->host, destination->host_size);
	host[destination->host_size] = '\0';
	log_debug("%s: stream %u: CONNECT to %s%s", peer->name, wisp_stream_id(stream),
		address_join(host, destination->port, text), destination->type == WISP_UDP ? " (UDP)" : "");
	if (peer->server->target_count >= peer->server->options->max_targets) {
		log_debug("%s: stream %u: no descriptors are left for it", peer->name, wisp_stream_id(stream));
		wisp_stream_close(stream, WISP_REASON_THROTTLED);
		return;
	}
	if (destination->type == WISP_UDP) {
		udp_open(peer, stream, host, destination->port);
		return;
	}
	target = calloc(1, sizeof *target);
	if (target != NULL)
		target->relay = relay_new(&relay_callbacks, target, &peer->backlog_bytes);
	if (target == NULL || target->relay == NULL) {
		free(target);
		wisp_stream_close(stream, WISP_REASON_THROTTLED);
		return;
	}
	target->peer = peer;
	target->server = peer->server;
	target->server->target_count++;
	target->stream = stream;
	target->reason = WISP_REASON_UNREACHABLE;
	target->fd = -1;
	relay_limit_stall(target->relay, STALL_MS);
	evtimer_assign(&target->event, peer->server->base, on_attempt, target);
	evtimer_add(&target->event, &tv);
	wisp_stream_accept(stream, &stream_callbacks, target);
	target->query =
		resolver_lookup(peer->server->resolver, &peer->names, host, destination->port, on_resolved, target);
	if (target->query == NULL)
		end(target, WISP_REASON_THROTTLED);
}
