/*
 * The signals of a long-running program: TERM and INT stop it, HUP makes it read its files again, and USR1 makes it log
 * its counters. The service manager is told. Called by each main.c.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <event2/event.h>

struct signals;

/* Each is called with `arg` from the event loop. A signal whose callback is NULL is left alone. */
struct signals_callbacks {
	void (*stop)(void *arg); /* TERM or INT, the first time; a second one ends the process at once */
	void (*reload)(void *arg);
	void (*report)(void *arg);
};

/* Take the signals, and ignore PIPE. `callbacks` must outlive them. NULL without memory. */
struct signals *signals_new(struct event_base *base, const struct signals_callbacks *callbacks, void *arg);

/* NULL is allowed. */
void signals_free(struct signals *signals);

#endif
