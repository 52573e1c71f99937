#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "clock.h"

/*
 * Backlogs grow in pieces of this size: it and what libevent puts before it are a power of two, to which it rounds up.
 * Of larger pieces, what nothing has been written to would take a good part of the budget again.
 */
#define PIECE_SIZE (8192 - 64)

void
relay_init(struct relay *relay, size_t *total)
{
	memset(relay, 0, sizeof *relay);
	relay->fd = -1;
	relay->total = total;
	relay->moved_ms = relay->taken_ms = clock_now_ms();
}

bool
relay_open(struct relay *relay, struct event_base *base, evutil_socket_t fd, event_callback_fn callback, void *arg)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails on Unix sockets, where it is not needed */
	if (event_assign(&relay->event, base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, callback, arg) != 0)
		return false;
	if (event_add(&relay->event, NULL) != 0)
		return false;
	relay->fd = fd;
	return true;
}

void
relay_close(struct relay *relay, bool reset)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (relay->backlog != NULL) {
		*relay->total -= evbuffer_get_length(relay->backlog);
		evbuffer_free(relay->backlog);
		relay->backlog = NULL;
	}
	if (relay->fd < 0)
		return;
	event_del(&relay->event);
	if (reset)
		setsockopt(relay->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(relay->fd);
	relay->fd = -1;
}

static void
fail(struct relay *relay, int error)
{
	relay->state = RELAY_ERROR;
	relay->error = error;
}

static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

size_t
relay_read(struct relay *relay, void *p, size_t n)
{
	ssize_t size;

	if (relay->state != RELAY_OPEN)
		return 0;
	size = recv(relay->fd, p, n, 0);
	if (size > 0) {
		relay->moved_ms = clock_now_ms();
		return (size_t)size;
	}
	if (size == 0)
		relay->state = RELAY_EOF;
	else if (!would_block(errno))
		fail(relay, errno);
	return 0;
}

size_t
relay_available(const struct relay *relay)
{
	int n = 0;

	if (ioctl(relay->fd, FIONREAD, &n) != 0 || n < 0)
		return 0;
	return (size_t)n;
}

/* Write as much as the socket takes. Returns how much, or -1 when it is broken. */
static ssize_t
write_some(struct relay *relay, const void *p, size_t n)
{
	const ssize_t size = send(relay->fd, p, n, MSG_NOSIGNAL);

	if (size >= 0) {
		relay->moved_ms = relay->taken_ms = clock_now_ms();
		return size;
	}
	if (would_block(errno))
		return 0;
	fail(relay, errno);
	return -1;
}

/* Keep what the socket does not take. */
static bool
keep(struct relay *relay, const char *p, size_t n)
{
	if (relay->backlog == NULL)
		relay->backlog = evbuffer_new();
	while (relay->backlog != NULL && n > 0) {
		const size_t size = n < PIECE_SIZE ? n : PIECE_SIZE;

		if (evbuffer_add(relay->backlog, p, size) != 0)
			break;
		*relay->total += size;
		p += size;
		n -= size;
	}
	return n == 0;
}

bool
relay_write(struct relay *relay, const void *p, size_t n)
{
	ssize_t written = 0;

	if (relay->state == RELAY_ERROR)
		return false;
	if (relay->fd >= 0 && !relay->waiting && relay_backlog(relay) == 0)
		written = write_some(relay, p, n);
	if (written < 0)
		return false;
	n -= (size_t)written;
	if (n == 0)
		return true;
	if (keep(relay, (const char *)p + written, n))
		return true;
	fail(relay, ENOMEM);
	return false;
}

bool
relay_flush(struct relay *relay)
{
	while (relay_backlog(relay) > 0) {
		int written = evbuffer_write(relay->backlog, relay->fd);

		if (written <= 0 && !would_block(errno)) {
			fail(relay, errno);
			return false;
		}
		if (written <= 0)
			break;
		*relay->total -= (size_t)written;
		relay->moved_ms = relay->taken_ms = clock_now_ms();
	}
	return true;
}

size_t
relay_backlog(const struct relay *relay)
{
	return relay->backlog != NULL ? evbuffer_get_length(relay->backlog) : 0;
}

void
relay_check(struct relay *relay)
{
	/* Of a Unix socket that was closed at the other end, what has been sent before can still be read. */
	const short broken = relay->state == RELAY_OPEN ? POLLERR : POLLERR | POLLHUP;
	struct pollfd pfd = {.fd = relay->fd};
	int error = 0;
	socklen_t size = sizeof error;

	if (poll(&pfd, 1, 0) <= 0 || !(pfd.revents & broken))
		return;
	getsockopt(relay->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	fail(relay, error != 0 ? error : ECONNRESET);
}
