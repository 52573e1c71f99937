/* TERM and INT end the event loop, and the service manager is told; a second one ends the process at once. */
#ifndef STOP_H
#define STOP_H

#include <stdbool.h>

#include <event2/event.h>

struct stop_signals;

/* `callback` is called with `arg` on the first signal. NULL without memory. */
struct stop_signals *stop_signals_new(struct event_base *base, void (*callback)(void *arg), void *arg);

/* NULL is allowed. */
void stop_signals_free(struct stop_signals *signals);

/* Let the process have as many descriptors as the system permits. Returns how many that are. */
unsigned raise_descriptor_limit(void);

/* Open /dev/null for standard input, output and error that were closed: sockets are not to be taken for them. */
void fill_standard_descriptors(void);

#endif
