#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "clock.h"
#include "datagrams.h"
#include "log.h"
#include "peer.h"
#include "resolver.h"
#include "server.h"

#define RESOLVE_MS 10000
/* How often to read on, when what is read is an error. */
#define READ_TRIES 8

struct udp {
	struct peer *peer;
	struct wisp_stream *stream;
	struct resolver_query *query;
	struct datagram_flow waiting; /* until there is a socket */
	struct event event;           /* of the socket */
	struct event timer;           /* for the look-up, then for silence */
	uint64_t moved_ms;
	int fd; /* -1 until the name has been looked up */
};

static void
set_timer(struct udp *udp, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	evtimer_add(&udp->timer, &tv);
}

static void
udp_free(struct udp *udp)
{
	udp->peer->server->target_count--;
	if (udp->query != NULL)
		resolver_cancel(udp->query);
	if (udp->fd >= 0) {
		event_del(&udp->event);
		close(udp->fd);
	}
	datagram_flow_clear(&udp->waiting);
	event_del(&udp->timer);
	free(udp);
}

/* Close the stream and the socket. */
static void
end(struct udp *udp, uint8_t reason)
{
	log_debug("%s: stream %u: %s", udp->peer->name, wisp_stream_id(udp->stream), wisp_reason_text(reason));
	wisp_stream_close(udp->stream, reason);
	udp_free(udp);
}

/* Any other error is news of an earlier datagram, from somewhere on its way, and is told once. */
static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK;
}

/* What cannot be sent is lost, as it may be on any other part of its way. */
static void
send_datagram(struct udp *udp, const uint8_t *p, size_t n)
{
	udp->moved_ms = clock_now_ms();
	/* The first attempt may only bring such news. */
	if (send(udp->fd, p, n, MSG_NOSIGNAL) < 0 && !would_block(errno))
		send(udp->fd, p, n, MSG_NOSIGNAL);
}

/* ---- the stream ---- */

static size_t
on_stream_read(void *arg, uint8_t *p, size_t n)
{
	struct udp *udp = arg;
	ssize_t size = -1;

	if (udp->fd < 0)
		return 0;
	for (int i = 0; i < READ_TRIES && size < 0; i++) {
		size = recv(udp->fd, p, n, 0);
		if (size < 0 && would_block(errno))
			return 0;
	}
	if (size < 0)
		return 0;
	udp->moved_ms = clock_now_ms();
	return size == 0 ? WISP_EMPTY_DATAGRAM : (size_t)size;
}

static size_t
on_stream_available(void *arg)
{
	const struct udp *udp = arg;
	int n = 0;

	if (udp->fd < 0 || ioctl(udp->fd, FIONREAD, &n) != 0 || n < 0)
		return 0;
	return (size_t)n;
}

static void
on_stream_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct udp *udp = arg;

	(void)last;
	if (udp->fd < 0)
		datagram_push(&udp->waiting, p, n);
	else
		send_datagram(udp, p, n);
}

static void
on_stream_closed(void *arg, uint8_t reason)
{
	struct udp *udp = arg;

	log_debug("%s: stream %u: closed by the client: %s", udp->peer->name, wisp_stream_id(udp->stream),
		wisp_reason_text(reason));
	udp_free(udp);
}

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_stream_data,
	.closed = on_stream_closed,
	.read = on_stream_read,
	.available = on_stream_available,
};

/* ---- the socket ---- */

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct udp *udp = arg;

	(void)fd, (void)what;
	wisp_stream_ready(udp->stream);
}

/* Open a socket to an address. Returns 0, or the reason why that cannot be. */
static uint8_t
open_socket(struct udp *udp, const struct address *address)
{
	struct event_base *base = udp->peer->server->base;
	const struct sockaddr *const sa = (const struct sockaddr *)&address->storage;
	const int fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno == EAFNOSUPPORT ? WISP_REASON_UNREACHABLE : WISP_REASON_THROTTLED;
	if (connect(fd, sa, address->size) != 0) {
		close(fd);
		return WISP_REASON_UNREACHABLE;
	}
	if (event_assign(&udp->event, base, fd, EV_READ | EV_ET | EV_PERSIST, on_socket, udp) != 0 ||
		event_add(&udp->event, NULL) != 0) {
		close(fd);
		return WISP_REASON_THROTTLED;
	}
	udp->fd = fd;
	return 0;
}

/* The first address that may be reached, and can, is taken: nothing tells whether anybody answers there. */
static uint8_t
open_first(struct udp *udp, const struct addresses *addresses)
{
	uint8_t reason = WISP_REASON_UNREACHABLE;

	for (size_t i = 0; i < addresses->count; i++) {
		const struct address *address = &addresses->items[i];
		const uint8_t refusal =
			policy_check(&udp->peer->server->options->policy, (const struct sockaddr *)&address->storage);
		const uint8_t failure = refusal != 0 ? refusal : open_socket(udp, address);

		if (failure == 0)
			return 0;
		if (reason != WISP_REASON_BLOCKED)
			reason = failure;
	}
	return reason;
}

static void
on_resolved(enum resolver_result result, const struct addresses *found, void *arg)
{
	struct udp *udp = arg;
	static uint8_t p[WISP_DATAGRAM_MAX];
	uint8_t reason;
	size_t size;

	udp->query = NULL;
	if (result != RESOLVER_FOUND)
		log_debug("%s: stream %u: the name does not resolve: %s", udp->peer->name, wisp_stream_id(udp->stream),
			resolver_text(result));
	reason = open_first(udp, found);
	if (reason != 0) {
		end(udp, reason);
		return;
	}
	udp->moved_ms = clock_now_ms();
	set_timer(udp, udp->peer->server->options->udp_timeout_ms);
	while (datagram_pop(&udp->waiting, p, sizeof p, &size))
		send_datagram(udp, p, size);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct udp *udp = arg;
	const uint64_t limit_ms = udp->peer->server->options->udp_timeout_ms;
	const uint64_t idle_ms = clock_now_ms() - udp->moved_ms;

	(void)fd, (void)what;
	if (udp->fd < 0)
		end(udp, WISP_REASON_UNREACHABLE);
	else if (idle_ms < limit_ms)
		set_timer(udp, limit_ms - idle_ms);
	else
		end(udp, WISP_REASON_VOLUNTARY);
}

void
udp_open(struct peer *peer, struct wisp_stream *stream, const char *host, uint16_t port)
{
	struct udp *udp = calloc(1, sizeof *udp);

	if (udp == NULL) {
		wisp_stream_close(stream, WISP_REASON_THROTTLED);
		return;
	}
	udp->peer = peer;
	peer->server->target_count++;
	udp->stream = stream;
	udp->fd = -1;
	datagram_flow_init(&udp->waiting, &peer->datagrams);
	evtimer_assign(&udp->timer, peer->server->base, on_timer, udp);
	set_timer(udp, RESOLVE_MS);
	wisp_stream_accept(stream, &stream_callbacks, udp);
	udp->query = resolver_lookup(peer->server->resolver, &peer->names, host, port, on_resolved, udp);
	if (udp->query == NULL)
		end(udp, WISP_REASON_THROTTLED);
}
