/* HUP: read the files again. The service manager is told when that begins, and when it is done. */
#ifndef RELOAD_H
#define RELOAD_H

#include <event2/event.h>

struct reload_signal;

/* `callback` is called with `arg` on each signal. NULL without memory. */
struct reload_signal *reload_signal_new(struct event_base *base, void (*callback)(void *arg), void *arg);

/* NULL is allowed. */
void reload_signal_free(struct reload_signal *reload);

#endif
