/* Sets timers of the event loop, which takes memory. */
#ifndef TIMER_H
#define TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "clock.h"

/*
 * Set a timer. Returns false when there is no memory for it: it would never expire. A timer that has just expired keeps
 * its memory, so only the first call for a timer can fail.
 */
static inline bool
timer_set(struct event *timer, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	return evtimer_add(timer, &tv) == 0;
}

#endif
