/* Taking turns. */
#ifndef TURN_H
#define TURN_H

#include <event2/event.h>

/*
 * Have a timer's callback called when all others have had their turn. event_active() is not for that: the loop looks
 * for new events only when nothing is active any more, and with more to do each time, that would be never.
 */
static inline void
turn_again(struct event *timer)
{
	static const struct timeval now;

	evtimer_add(timer, &now);
}

#endif
