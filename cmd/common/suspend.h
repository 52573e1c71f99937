/* Tells when the machine wakes up after a suspend. It uses no CPU time until then. */
#ifndef SUSPEND_H
#define SUSPEND_H

#include <event2/event.h>

struct suspend;

/* Start watching. Returns NULL, with a debug message, when that fails: suspends go unnoticed then. */
struct suspend *suspend_new(struct event_base *base, void (*woken)(void *arg), void *arg);

/* NULL is allowed. */
void suspend_free(struct suspend *suspend);

#endif
