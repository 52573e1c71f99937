/*
 * A TCP port that does not answer: it listens, but its queue is full and never becomes shorter. Linux drops whoever
 * wants to connect then, as a firewall would.
 */
#ifndef UNANSWERING_H
#define UNANSWERING_H

#include <stdbool.h>

#include <event2/util.h>

/* A queue of length 0 has room for one; more do no harm. */
#define UNANSWERING_QUEUED 3

struct unanswering {
	evutil_socket_t fd;
	evutil_socket_t queued[UNANSWERING_QUEUED]; /* our own ends of what fills the queue */
};

/* To be called before the others. */
void unanswering_init(struct unanswering *unanswering);

/* Make such a port of a socket that is bound, and owned from now on. Returns false with errno set when that cannot be.
 */
bool unanswering_start(struct unanswering *unanswering, evutil_socket_t fd);

/* Whether nobody is answered, as far as that shows at once: other systems may do something else. */
bool unanswering_holds(const struct unanswering *unanswering);

void unanswering_stop(struct unanswering *unanswering);

#endif
