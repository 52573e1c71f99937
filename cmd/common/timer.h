/* Timers of the event loop, which need memory. */
#ifndef TIMER_H
#define TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "clock.h"

/*
 * Have a timer end in so many milliseconds. Returns false without memory for it: it would never end. One that has just
 * ended keeps its place, so this is to be looked at where a timer is set for the first time.
 */
static inline bool
timer_set(struct event *timer, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	return evtimer_add(timer, &tv) == 0;
}

#endif
