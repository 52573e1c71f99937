/* Taking turns. */
#ifndef TURN_H
#define TURN_H

#include <stdbool.h>

#include <event2/event.h>

/*
 * Have a timer's callback called after all other active events. Returns false when there is no memory for a timer that
 * was not set. event_active() does not serve: the loop polls for new events only when none is active any more, and a
 * callback that activates itself each time would prevent that for ever.
 */
static inline bool
turn_again(struct event *timer)
{
	static const struct timeval now;

	return evtimer_add(timer, &now) == 0;
}

#endif
