/* Taking turns. */
#ifndef TURN_H
#define TURN_H

#include <stdbool.h>

#include <event2/event.h>

/*
 * Have a timer's callback called when all others have had their turn. Returns false without memory for a timer that was
 * not set. event_active() is not for that: the loop looks
 * for new events only when nothing is active any more, and with more to do each time, that would be never.
 */
static inline bool
turn_again(struct event *timer)
{
	static const struct timeval now;

	return evtimer_add(timer, &now) == 0;
}

#endif
