#include "datagram_echo.h"

#include <stdint.h>

#include <sys/socket.h>

#define DATAGRAM_MAX 65535
/* The same loop serves the probe: this much at a time. */
#define DATAGRAMS_PER_TURN 64

static void
on_datagram(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t datagram[DATAGRAM_MAX];
	struct datagram_echo *echo = arg;

	(void)what;
	for (int i = 0; i < DATAGRAMS_PER_TURN; i++) {
		struct sockaddr_storage from;
		socklen_t from_size = sizeof from;
		const ssize_t n = recvfrom(fd, datagram, DATAGRAM_MAX, 0, (struct sockaddr *)&from, &from_size);

		if (n < 0)
			return;
		++*echo->count;
		/* What the kernel does not take is lost, as datagrams are. */
		(void)sendto(fd, datagram, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&from, from_size);
	}
}

void
datagram_echo_init(struct datagram_echo *echo)
{
	echo->fd = -1;
}

bool
datagram_echo_start(struct datagram_echo *echo, struct event_base *base, evutil_socket_t fd, unsigned *count)
{
	echo->fd = fd;
	echo->count = count;
	event_assign(&echo->readable, base, fd, EV_READ | EV_PERSIST, on_datagram, echo);
	return event_add(&echo->readable, NULL) == 0;
}

void
datagram_echo_stop(struct datagram_echo *echo)
{
	if (echo->fd < 0)
		return;
	event_del(&echo->readable);
	evutil_closesocket(echo->fd);
}
