/*
 * One end of a stream: a local socket, from which the session pulls and to which it delivers. A relay owns the socket's
 * whole life: before it is connected, what is written waits; at the end, all that was written reaches the other side
 * before the socket is closed. What the socket does not take at once waits in the relay's backlog. The socket's events
 * are edge-triggered, so an idle or blocked relay costs no system calls.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

struct relay;

enum relay_state {
	RELAY_CONNECTING, /* there is no socket yet: what is written, and the end, wait for it */
	RELAY_OPEN,
	RELAY_EOF,      /* the socket's end of data has been read */
	RELAY_DRAINING, /* finished: the backlog is still on its way */
	RELAY_LEAVING,  /* finished: the kernel has all of it, and the other side may take its time to hang up */
	RELAY_BROKEN,   /* the socket is broken, or closed at the end; relay_error() says why */
};

/* They are called from the event loop, but for `done`. Each may free its relay. */
struct relay_callbacks {
	/*
	 * OPEN: there may be something to read. Returns whether it is going to be read: when nothing reads from it, the
	 * relay has to look for itself whether the socket has failed.
	 */
	bool (*readable)(void *arg);
	/* The socket has taken some of the backlog. */
	void (*drained)(void *arg);
	/* The socket broke, or took nothing for too long (ETIMEDOUT), before relay_finish(). */
	void (*broken)(void *arg);
	/* After relay_finish() or relay_fail(), perhaps while they are called: the socket is closed. */
	void (*done)(void *arg);
};

/*
 * A relay without a socket. `total` counts the bytes that wait, over all relays that share it. NULL without memory.
 */
struct relay *relay_new(const struct relay_callbacks *callbacks, void *arg, size_t *total);

/*
 * Watch a connected, non-blocking socket, which becomes the relay's, and write what has waited for it. Returns false,
 * without taking the socket, when it cannot be watched. Of a socket that is being watched already, the events that
 * were seen are not seen again.
 */
bool relay_open(struct relay *relay, struct event_base *base, evutil_socket_t fd);

/* How long the socket may take nothing of what waits for it; 0, as at first, is for ever. */
void relay_limit_stall(struct relay *relay, uint64_t stall_ms);

enum relay_state relay_state(const struct relay *relay);

/* Why it is BROKEN: an errno. */
int relay_error(const struct relay *relay);

/* The socket, for its options and names; -1 when there is none. */
evutil_socket_t relay_socket(const struct relay *relay);

/* Read up to n bytes. 0 means none for now, or that the state is no longer OPEN. */
size_t relay_read(struct relay *relay, void *p, size_t n);

/* Read and drop what there is, some of it now and the rest in other turns: `readable` is called again then. */
void relay_discard(struct relay *relay);

/* How many bytes could be read now. */
size_t relay_available(const struct relay *relay);

/*
 * Write n bytes, and keep what the socket does not take. Returns false when the socket is broken or memory is out: the
 * state is BROKEN then.
 */
bool relay_write(struct relay *relay, const void *p, size_t n);

/* How many bytes wait. */
size_t relay_backlog(const struct relay *relay);

/* Have what waits counted elsewhere. */
void relay_charge(struct relay *relay, size_t *total);

/* How long nothing has been read or written, the end of data counted in. */
uint64_t relay_idle_ms(const struct relay *relay);

/* How long the socket has taken nothing of what waits for it; 0 when nothing waits. */
uint64_t relay_stalled_ms(const struct relay *relay);

/*
 * Half-close: nothing more is written. The other side is told so when it has all that waits; reading goes on.
 */
void relay_end_data(struct relay *relay);

/*
 * End well: what waits is written, as long as the socket takes some of it within stall_ms at a time, and the other side
 * is told the end. What it still says is dropped until it hangs up, or takes nothing more. Then `done` is called, once;
 * nothing else is from now on. Nothing may be read or written any more.
 */
void relay_finish(struct relay *relay, uint64_t stall_ms);

/*
 * The same for data that is not whole: the other side sees an error instead of an end, as soon as the kernel has all
 * that waited.
 */
void relay_fail(struct relay *relay, uint64_t stall_ms);

/* Drop what waits, reset the connection, so that the other side sees an error, and free the relay. NULL is allowed. */
void relay_abort(struct relay *relay);

/* Drop what waits, close the socket if there is one, and free the relay. NULL is allowed. */
void relay_free(struct relay *relay);

#endif
