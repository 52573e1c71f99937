/* Tells when the machine wakes up that was suspended. It takes no time before. */
#ifndef SUSPEND_H
#define SUSPEND_H

#include <event2/event.h>

struct suspend;

/* Begin to watch. NULL, with the reason logged for debugging, when that cannot be: then it goes unnoticed. */
struct suspend *suspend_new(struct event_base *base, void (*woken)(void *arg), void *arg);

/* NULL is allowed. */
void suspend_free(struct suspend *suspend);

#endif
