#include "unanswering.h"

#include <errno.h>

#include <poll.h>
#include <sys/socket.h>

/* Begin to connect to the port, without waiting. Returns the socket, or -1 with errno set. */
static evutil_socket_t
knock(evutil_socket_t port)
{
	struct sockaddr_storage name = {0};
	socklen_t size = sizeof name;
	evutil_socket_t fd;
	int error;

	if (getsockname(port, (struct sockaddr *)&name, &size) != 0)
		return -1;
	fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&name, size) == 0 || errno == EINPROGRESS)
		return fd;
	error = errno;
	evutil_closesocket(fd);
	errno = error;
	return -1;
}

void
unanswering_init(struct unanswering *unanswering)
{
	unanswering->fd = -1;
	for (int i = 0; i < UNANSWERING_QUEUED; i++)
		unanswering->queued[i] = -1;
}

bool
unanswering_start(struct unanswering *unanswering, evutil_socket_t fd)
{
	unanswering->fd = fd;
	if (listen(fd, 0) != 0)
		return false;
	for (int i = 0; i < UNANSWERING_QUEUED; i++) {
		unanswering->queued[i] = knock(fd);
		if (unanswering->queued[i] < 0)
			return false;
	}
	return true;
}

bool
unanswering_holds(const struct unanswering *unanswering)
{
	struct pollfd visitor = {.fd = knock(unanswering->fd), .events = POLLOUT};
	const bool waits = visitor.fd >= 0 && poll(&visitor, 1, 0) == 0;

	if (visitor.fd >= 0)
		evutil_closesocket(visitor.fd);
	return waits;
}

void
unanswering_stop(struct unanswering *unanswering)
{
	for (int i = 0; i < UNANSWERING_QUEUED; i++)
		if (unanswering->queued[i] >= 0)
			evutil_closesocket(unanswering->queued[i]);
	if (unanswering->fd >= 0)
		evutil_closesocket(unanswering->fd);
}
