#include "unanswering.h"

#include <errno.h>

#include <sys/socket.h>

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
	struct sockaddr_storage name = {0};
	socklen_t size = sizeof name;

	unanswering->fd = fd;
	if (listen(fd, 0) != 0 || getsockname(fd, (struct sockaddr *)&name, &size) != 0)
		return false;
	for (int i = 0; i < UNANSWERING_QUEUED; i++) {
		const evutil_socket_t queued = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		unanswering->queued[i] = queued;
		if (queued < 0 || (connect(queued, (struct sockaddr *)&name, size) != 0 && errno != EINPROGRESS))
			return false;
	}
	return true;
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
