/*
 * A listening socket. It can be paused, so that new connections wait in the kernel's queue, and pauses by itself for a
 * moment when the process runs out of descriptors or memory.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <event2/event.h>
#include <event2/util.h>

#include "endpoints.h"

struct listener;

/* A connection was accepted from that address: `fd` is non-blocking and the callback's own. */
typedef void listener_callback(evutil_socket_t fd, const struct sockaddr *from, void *arg);

/*
 * Listen there, and log "listening on ADDR". NULL when that cannot be: the reason has been logged as an error that
 * names
 * --listen.
 */
struct listener *listener_new(
	struct event_base *base, const struct endpoint *endpoint, listener_callback *callback, void *arg);

/* Stop listening, and remove the file of a Unix socket that was made here. NULL is allowed. */
void listener_free(struct listener *listener);

/* Stop accepting, or go on. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

#endif
