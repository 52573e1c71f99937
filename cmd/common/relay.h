/*
 * One end of a stream: a local socket. The session pulls data from it and delivers data to it. A relay holds written
 * data until the socket is connected, and at the end lets all of it reach the other side before it closes the socket.
 * Data that the socket does not take at once waits in the relay's backlog. The socket's events are edge-triggered, so
 * an idle or blocked relay costs no system calls.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

struct relay;

enum relay_state {
	RELAY_CONNECTING, /* there is no socket yet: written data and the end wait for it */
	RELAY_OPEN,
	RELAY_EOF,      /* the socket's end of data has been read */
	RELAY_DRAINING, /* finished: the backlog is still on its way */
	RELAY_LEAVING,  /* finished: the kernel has all data; the other side has yet to hang up */
	RELAY_BROKEN,   /* the socket is broken, or closed at the end; relay_error() says why */
};

/* All but `done` are called only from the event loop. Each may free its relay. */
struct relay_callbacks {
	/*
	 * OPEN: there may be something to read. Returns whether the owner will read it. If not, the relay checks by
	 * itself whether the socket has failed.
	 */
	bool (*readable)(void *arg);
	/* The socket has taken some of the backlog. */
	void (*drained)(void *arg);
	/* The socket broke, or took nothing for too long (ETIMEDOUT), before relay_finish(). */
	void (*broken)(void *arg);
	/* The socket is closed, after relay_finish() or relay_fail(). May be called before they return. */
	void (*done)(void *arg);
};

/*
 * A relay without a socket. `total` counts the bytes that wait, over all relays that share it. NULL without memory.
 */
struct relay *relay_new(const struct relay_callbacks *callbacks, void *arg, size_t *total);

/*
 * Watch a connected, non-blocking socket, which becomes the relay's, and write what has waited for it. Returns false,
 * without taking the socket, when it cannot be watched. If the socket is already being watched, past events are not
 * reported again.
 */
bool relay_open(struct relay *relay, struct event_base *base, evutil_socket_t fd);

/* Set how long the socket may take nothing while data waits. 0, the initial value, is for ever. */
void relay_limit_stall(struct relay *relay, uint64_t stall_ms);

enum relay_state relay_state(const struct relay *relay);

/* Why it is BROKEN: an errno. */
int relay_error(const struct relay *relay);

/* The socket, for its options and names; -1 when there is none. */
evutil_socket_t relay_socket(const struct relay *relay);

/* Read up to n bytes. 0 means none for now, or that the state is no longer OPEN. */
size_t relay_read(struct relay *relay, void *p, size_t n);

/* Read and drop what there is: some of it now, the rest in later turns, in which `readable` is called again. */
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

/* Count the bytes that wait in another total. */
void relay_charge(struct relay *relay, size_t *total);

/* How long nothing has been read or written. An end of data counts as something. */
uint64_t relay_idle_ms(const struct relay *relay);

/* How long the socket has taken nothing while data waits; 0 when none waits. */
uint64_t relay_stalled_ms(const struct relay *relay);

/* Half-close: nothing more will be written. The other side sees the end behind the data that waits. Reading goes on. */
void relay_end_data(struct relay *relay);

/*
 * End in order: write what waits, then tell the other side that the data has ended. This goes on for as long as the
 * socket takes something at least every stall_ms. What the other side still sends is dropped until it hangs up or takes
 * nothing more. Then `done` is called, once, and no other callback. Nothing may be read or written any more.
 */
void relay_finish(struct relay *relay, uint64_t stall_ms);

/* The same for incomplete data: once the kernel has all that waited, the other side sees an error instead of an end. */
void relay_fail(struct relay *relay, uint64_t stall_ms);

/* Drop what waits, reset the connection, so that the other side sees an error, and free the relay. NULL is allowed. */
void relay_abort(struct relay *relay);

/* Drop what waits, close the socket if there is one, and free the relay. NULL is allowed. */
void relay_free(struct relay *relay);

#endif
