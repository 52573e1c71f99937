#include "target.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "address.h"
#include "clock.h"
#include "log.h"
#include "peer.h"
#include "relay.h"
#include "resolver.h"
#include "server.h"
#include "turn.h"
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
/* How often to look whether a target still takes what the kernel has for it. */
#define LEAVING_MS 2000
#define DISCARD_SIZE 16384
/* Reads of what is dropped in one turn, before others have theirs. */
#define DISCARDS_PER_TURN 16

enum target_state {
	TARGET_RESOLVING,
	TARGET_CONNECTING,
	TARGET_OPEN,
	TARGET_DRAINING, /* the stream is over; what it brought is still on its way */
	TARGET_LEAVING,  /* the kernel has all of it; the target may take its time to take it and to hang up */
};

struct target {
	TAILQ_ENTRY(target) entry; /* DRAINING and LEAVING: the server's list */
	struct peer *peer;         /* NULL then: it may be gone */
	struct server *server;
	struct wisp_stream *stream; /* NULL when it is over */
	struct relay relay;
	struct event timer; /* until OPEN: the time to connect; then: the look whether it takes anything */
	struct resolver_query *query;
	struct addresses addresses;
	size_t next_address; /* the next to be tried */
	uint64_t looked_ms;  /* LEAVING: when the last look was */
	int unsent_bytes;    /* LEAVING: that the target had not confirmed then */
	enum target_state state;
	uint8_t reason; /* why no address could be connected */
};

static void on_socket(evutil_socket_t fd, short what, void *arg);

static void
set_timer(struct target *target, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(&target->timer, &tv);
}

/* ---- the end ---- */

static void
target_free(struct target *target, bool reset)
{
	struct peer *peer = target->peer;

	if (target->state == TARGET_DRAINING || target->state == TARGET_LEAVING) {
		TAILQ_REMOVE(&target->server->draining, target, entry);
		target->server->draining_count--;
	}
	target->server->target_count--;
	if (target->query != NULL)
		resolver_cancel(target->query);
	relay_close(&target->relay, reset);
	event_del(&target->timer);
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
	target_free(target, reason != WISP_REASON_VOLUNTARY);
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
report_backlog(struct target *target)
{
	if (target->stream != NULL)
		wisp_stream_set_backlog(target->stream, relay_backlog(&target->relay));
	if (target->peer != NULL)
		peer_check_budget(target->peer);
}

/* Read and drop what a target still says, which may be without end. */
static void
discard(struct target *target)
{
	char scratch[DISCARD_SIZE];
	int reads = 0;

	while (reads < DISCARDS_PER_TURN && relay_read(&target->relay, scratch, sizeof scratch) > 0)
		reads++;
	if (target->relay.state != RELAY_OPEN)
		target_free(target, false);
	else if (reads == DISCARDS_PER_TURN)
		turn_again(&target->timer);
	else
		set_timer(target, LEAVING_MS);
}

/* Look whether the target still takes something: there is only so much that it can. */
static void
check_leaving(struct target *target)
{
	const uint64_t now_ms = clock_now_ms();
	int unsent_bytes = 0;

	if (now_ms - target->looked_ms < LEAVING_MS) {
		discard(target);
		return;
	}
	ioctl(target->relay.fd, SIOCOUTQ, &unsent_bytes);
	if (unsent_bytes >= target->unsent_bytes) {
		target_free(target, false);
		return;
	}
	target->looked_ms = now_ms;
	target->unsent_bytes = unsent_bytes;
	discard(target);
}

/*
 * The kernel has all that the stream brought. The target is told the end, and what it says is read: a socket that is
 * closed answers that with a reset, and drops what it has yet to send.
 */
static void
leave(struct target *target)
{
	if (target->relay.state != RELAY_OPEN || shutdown(target->relay.fd, SHUT_WR) != 0) {
		target_free(target, false);
		return;
	}
	target->state = TARGET_LEAVING;
	target->looked_ms = clock_now_ms();
	target->unsent_bytes = INT_MAX;
	discard(target);
}

/* Make room for one that has data: of those that the kernel has all of, the one that has had the most time for it. */
static void
drop_one_leaving(struct server *server)
{
	struct target *target;

	TAILQ_FOREACH (target, &server->draining, entry)
		if (target->state == TARGET_LEAVING) {
			target_free(target, false);
			return;
		}
}

/* The stream is over, and its peer may go at any time, but what it brought shall reach the target. */
static void
drain(struct target *target)
{
	struct server *server = target->server;
	const size_t waiting = relay_backlog(&target->relay);

	target->stream = NULL;
	if (server->draining_count == DRAINING_TARGETS_MAX)
		drop_one_leaving(server);
	if (waiting > DRAINING_MAX - server->draining_bytes || server->draining_count == DRAINING_TARGETS_MAX) {
		target_free(target, waiting > 0);
		return;
	}
	*target->relay.total -= waiting;
	server->draining_bytes += waiting;
	target->relay.total = &server->draining_bytes;
	peer_check_budget(target->peer);
	target->peer = NULL;
	target->state = TARGET_DRAINING;
	TAILQ_INSERT_TAIL(&server->draining, target, entry);
	server->draining_count++;
	if (waiting == 0)
		leave(target);
	else
		set_timer(target, STALL_MS);
}

void
target_drop_draining(struct server *server)
{
	struct target *target;

	while ((target = TAILQ_FIRST(&server->draining)) != NULL)
		target_free(target, target->state == TARGET_DRAINING);
}

static size_t
on_stream_read(void *arg, uint8_t *p, size_t n)
{
	struct target *target = arg;
	size_t size;

	if (target->state != TARGET_OPEN)
		return 0;
	size = relay_read(&target->relay, p, n);
	if (target->relay.state == RELAY_ERROR) {
		end(target, reason_of(target->relay.error));
	} else if (target->relay.state == RELAY_EOF) {
		log_debug("%s: stream %u: the destination has ended it", target->peer->name,
			wisp_stream_id(target->stream));
		wisp_stream_close(target->stream, WISP_REASON_VOLUNTARY);
		drain(target);
	}
	return size;
}

static size_t
on_stream_available(void *arg)
{
	const struct target *target = arg;

	return target->state == TARGET_OPEN ? relay_available(&target->relay) : 0;
}

static void
on_stream_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct target *target = arg;

	(void)last;
	if (!relay_write(&target->relay, p, n))
		end(target, reason_of(target->relay.error));
	else
		report_backlog(target);
}

static void
on_stream_closed(void *arg, uint8_t reason)
{
	struct target *target = arg;

	log_debug("%s: stream %u: closed by the client: %s", target->peer->name, wisp_stream_id(target->stream),
		wisp_reason_text(reason));
	target->stream = NULL;
	if (reason == WISP_REASON_VOLUNTARY && target->state == TARGET_OPEN)
		drain(target);
	else
		target_free(target, true);
}

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_stream_data,
	.closed = on_stream_closed,
	.read = on_stream_read,
	.available = on_stream_available,
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
		if (fd >= 0 && !relay_open(&target->relay, target->server->base, fd, on_socket, target)) {
			close(fd);
			fd = -1;
		}
		if (fd < 0) {
			note_failure(target, reason_of(errno));
			continue;
		}
		target->state = TARGET_CONNECTING;
		set_timer(target, CONNECT_MS);
		return;
	}
	end(target, target->reason);
}

static void
try_next(struct target *target, uint8_t reason)
{
	note_failure(target, reason);
	event_del(&target->relay.event);
	close(target->relay.fd);
	target->relay.fd = -1;
	try_addresses(target);
}

static void
on_resolved(enum resolver_result result, const struct addresses *found, void *arg)
{
	struct target *target = arg;

	target->query = NULL;
	target->addresses = *found;
	if (result != RESOLVER_FOUND)
		log_debug("%s: stream %u: the name does not resolve: %s", target->peer->name,
			wisp_stream_id(target->stream), resolver_text(result));
	try_addresses(target);
}

static void
on_connected(struct target *target)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (getsockopt(target->relay.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0) {
		try_next(target, reason_of(error));
		return;
	}
	target->state = TARGET_OPEN;
	target->relay.waiting = false;
	target->relay.moved_ms = target->relay.taken_ms = clock_now_ms();
	set_timer(target, STALL_MS);
	if (!relay_flush(&target->relay)) {
		end(target, reason_of(target->relay.error));
		return;
	}
	report_backlog(target);
	wisp_stream_confirm(target->stream);
	wisp_stream_ready(target->stream);
}

/* ---- events ---- */

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct target *target = arg;

	(void)fd;
	if (target->state == TARGET_CONNECTING) {
		if (what & EV_WRITE)
			on_connected(target);
		return;
	}
	if (target->state == TARGET_LEAVING) {
		check_leaving(target);
		return;
	}
	if ((what & EV_WRITE) && !relay_flush(&target->relay)) {
		end(target, reason_of(target->relay.error));
		return;
	}
	if (target->state == TARGET_DRAINING) {
		if (relay_backlog(&target->relay) == 0)
			leave(target);
		return;
	}
	if (what & EV_WRITE)
		report_backlog(target);
	if (what & EV_READ)
		wisp_stream_ready(target->stream);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct target *target = arg;
	const uint64_t idle_ms = clock_now_ms() - target->relay.taken_ms;

	(void)fd, (void)what;
	switch (target->state) {
	case TARGET_RESOLVING:
		end(target, WISP_REASON_UNREACHABLE);
		break;
	case TARGET_CONNECTING:
		try_next(target, WISP_REASON_TIMED_OUT);
		break;
	case TARGET_OPEN:
	case TARGET_DRAINING:
		if (relay_backlog(&target->relay) == 0)
			set_timer(target, STALL_MS);
		else if (idle_ms < STALL_MS)
			set_timer(target, STALL_MS - idle_ms);
		else
			end(target, WISP_REASON_TRANSFER_TIMED_OUT);
		break;
	case TARGET_LEAVING:
		check_leaving(target);
		break;
	}
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
	if (target == NULL) {
		wisp_stream_close(stream, WISP_REASON_THROTTLED);
		return;
	}
	target->peer = peer;
	target->server = peer->server;
	target->server->target_count++;
	target->stream = stream;
	target->reason = WISP_REASON_UNREACHABLE;
	relay_init(&target->relay, &peer->backlog_bytes);
	target->relay.waiting = true; /* to write would take the error of an address from those who try the next one */
	evtimer_assign(&target->timer, peer->server->base, on_timer, target);
	set_timer(target, RESOLVE_MS);
	wisp_stream_accept(stream, &stream_callbacks, target);
	target->query =
		resolver_lookup(peer->server->resolver, &peer->names, host, destination->port, on_resolved, target);
	if (target->query == NULL)
		end(target, WISP_REASON_THROTTLED);
}
