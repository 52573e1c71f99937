#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "address.h"
#include "log.h"
#include "peer.h"
#include "reach.h"
#include "relay.h"
#include "server.h"
#include "udp.h"

/* A target that says nothing for so long is asked by keepalive probes whether it is still there, in seconds. */
#define PROBE_AFTER_S 600
#define PROBE_EVERY_S 60
/* A target that takes nothing of what waits for it for this long is given up. */
#define STALL_MS 60000
/* What streams that are over may leave behind for their targets, over all peers, and how many of these there may be. */
#define DRAINING_MAX ((size_t)256 << 20)
#define DRAINING_TARGETS_MAX 4096

struct target {
	TAILQ_ENTRY(target) entry;  /* in the server's list, when the stream is over */
	struct peer *peer;          /* NULL then: it may be gone */
	struct wisp_stream *stream; /* NULL then */
	struct server *server;
	struct reach *reach; /* until it is connected */
	struct relay *relay;
};

/* ---- the end ---- */

static void
target_free(struct target *target, bool reset)
{
	struct peer *peer = target->peer;

	reach_cancel(target->reach);
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
 * The stream is over, and its peer may go at any time. The data that it brought must still reach the target, which may
 * not be connected yet.
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
	if (target->reach != NULL)
		reach_outlive_peer(target->reach);
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
		end(target, reach_reason(relay_error(target->relay)));
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
		end(target, reach_reason(relay_error(target->relay)));
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

/* Whether the target may still have data to get. One that is not connected yet and has no backlog is not needed. */
static bool
has_something(const struct target *target)
{
	return relay_state(target->relay) != RELAY_CONNECTING || relay_backlog(target->relay) > 0;
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
									   : reach_reason(error));
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

/* Find out by probes, after a long silence, whether the destination is still there. */
static void
probe(int fd)
{
	const int on = 1, after = PROBE_AFTER_S, every = PROBE_EVERY_S;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
}

static bool
on_reached(void *arg, int fd, uint8_t reason, const char *unresolved)
{
	struct target *target = arg;

	target->reach = NULL;
	if (unresolved != NULL && target->stream != NULL)
		log_debug("%s: stream %u: the name does not resolve: %s", target->peer->name,
			wisp_stream_id(target->stream), unresolved);
	if (fd >= 0 && !relay_open(target->relay, target->server->base, fd)) {
		fd = -1;
		reason = WISP_REASON_THROTTLED;
	}
	if (fd < 0) {
		end(target, reason);
		return false;
	}
	probe(fd);
	report_backlog(target);
	if (target->stream != NULL) {
		wisp_stream_confirm(target->stream);
		wisp_stream_ready(target->stream);
	}
	return true;
}

void
target_open(struct peer *peer, struct wisp_stream *stream, const struct wisp_destination *destination)
{
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
	relay_limit_stall(target->relay, STALL_MS);
	wisp_stream_accept(stream, &stream_callbacks, target);
	target->reach = reach_start(peer, host, destination->port, SOCK_STREAM, on_reached, target);
	if (target->reach == NULL)
		end(target, WISP_REASON_THROTTLED);
}
