/* A UDP port that sends back what it gets. */
#ifndef DATAGRAM_ECHO_H
#define DATAGRAM_ECHO_H

#include <stdbool.h>

#include <event2/event.h>
#include <event2/event_struct.h>

struct datagram_echo {
	evutil_socket_t fd;
	struct event readable;
	unsigned *count; /* of the datagrams that have come */
};

/* To be called before the others. */
void datagram_echo_init(struct datagram_echo *echo);

/* Make such a port of a socket that is bound, and owned from now on. Returns false when that cannot be. */
bool datagram_echo_start(struct datagram_echo *echo, struct event_base *base, evutil_socket_t fd, unsigned *count);

void datagram_echo_stop(struct datagram_echo *echo);

#endif
