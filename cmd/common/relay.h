/*
 * One end of a stream: a local socket, from which the session pulls and to which it delivers. What the socket does not
 * take at once waits in the relay's backlog. The socket's events are edge-triggered, so an idle or blocked relay costs
 * no system calls.
 */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

struct evbuffer;

enum relay_state {
	RELAY_OPEN,
	RELAY_EOF,   /* the socket's end of data has been read */
	RELAY_ERROR, /* the socket is broken; `error` says how */
};

struct relay {
	struct event event;
	struct evbuffer *backlog; /* NULL while nothing has ever waited */
	size_t *total;            /* all backlogs of the same budget, in bytes */
	uint64_t moved_ms;        /* when the socket last gave or took something */
	uint64_t taken_ms;        /* when it last took something */
	evutil_socket_t fd;       /* -1 when there is none */
	enum relay_state state;
	int error;    /* errno */
	bool waiting; /* nothing is written: the socket is not connected yet */
};

/* A relay without a socket: what is written to it waits. `total` counts the bytes that wait, over all that share it. */
void relay_init(struct relay *relay, size_t *total);

/*
 * Watch a non-blocking socket, which becomes the relay's. `callback` is called with EV_READ and EV_WRITE when there may
 * be something to read or room to write. Returns false, without taking the socket, when it cannot be watched.
 */
bool relay_open(
	struct relay *relay, struct event_base *base, evutil_socket_t fd, event_callback_fn callback, void *arg);

/* Close the socket and drop the backlog. `reset` makes the other end see an error instead of an end. */
void relay_close(struct relay *relay, bool reset);

/* Read up to n bytes. 0 means none for now, or that `state` is no longer OPEN. */
size_t relay_read(struct relay *relay, void *p, size_t n);

/* How many bytes could be read now. */
size_t relay_available(const struct relay *relay);

/* Write n bytes, or keep what the socket does not take, or all while the relay waits. Returns false when the socket is
 * broken or memory is out. */
bool relay_write(struct relay *relay, const void *p, size_t n);

/* Write what has waited. Returns false when the socket is broken. */
bool relay_flush(struct relay *relay);

/* How many bytes wait. */
size_t relay_backlog(const struct relay *relay);

/*
 * Look whether the socket has failed or, after the end of its data, hung up, although nothing is read from it. Sets
 * `state`.
 */
void relay_check(struct relay *relay);

#endif
