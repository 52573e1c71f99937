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
#include "reach.h"
#include "server.h"
#include "timer.h"

/* How often to read on, when what is read is an error. */
#define READ_TRIES 8

struct udp {
	struct peer *peer;
	struct wisp_stream *stream;
	struct reach *reach;          /* until there is a socket */
	struct datagram_flow waiting; /* until there is a socket */
	struct event event;           /* of the socket */
	struct event timer;           /* for silence */
	uint64_t moved_ms;
	int fd; /* -1 until the name has been looked up */
};

static bool
set_timer(struct udp *udp, uint64_t ms)
{
	return timer_set(&udp->timer, ms);
}

static void
udp_free(struct udp *udp)
{
	udp->peer->server->target_count--;
	reach_cancel(udp->reach);
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

static bool
watch(struct udp *udp, int fd)
{
	if (event_assign(&udp->event, udp->peer->server->base, fd, EV_READ | EV_ET | EV_PERSIST, on_socket, udp) != 0 ||
		event_add(&udp->event, NULL) != 0)
		return false;
	udp->fd = fd;
	return true;
}

/* The first address that may be reached, and can, is taken: nothing tells whether anybody answers there. */
static bool
on_reached(void *arg, int fd, uint8_t reason, const char *unresolved)
{
	static uint8_t p[WISP_DATAGRAM_MAX];
	struct udp *udp = arg;
	size_t size;

	udp->reach = NULL;
	if (unresolved != NULL)
		log_debug("%s: stream %u: the name does not resolve: %s", udp->peer->name, wisp_stream_id(udp->stream),
			unresolved);
	if (fd >= 0 && !(set_timer(udp, udp->peer->server->options->udp_timeout_ms) && watch(udp, fd))) {
		fd = -1;
		reason = WISP_REASON_THROTTLED;
	}
	if (fd < 0) {
		end(udp, reason);
		return false;
	}
	udp->moved_ms = clock_now_ms();
	while (datagram_pop(&udp->waiting, p, sizeof p, &size))
		send_datagram(udp, p, size);
	return true;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct udp *udp = arg;
	const uint64_t limit_ms = udp->peer->server->options->udp_timeout_ms;
	const uint64_t idle_ms = clock_now_ms() - udp->moved_ms;

	(void)fd, (void)what;
	if (idle_ms < limit_ms)
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
	wisp_stream_accept(stream, &stream_callbacks, udp);
	udp->reach = reach_start(peer, host, port, SOCK_DGRAM, on_reached, udp);
	if (udp->reach == NULL)
		end(udp, WISP_REASON_THROTTLED);
}
