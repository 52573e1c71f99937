/*
 * Whether the server is still there. Pings find out whether it speaks, and the kernel's counters whether its machine
 * answers at all. The tunnel owns it, tells it what it sends and hears, and ends the connection when it says so.
 */
#ifndef LIVENESS_H
#define LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "silence.h"

#define LIVENESS_REASON_SIZE 128

struct liveness_callbacks {
	/* Send a ping. */
	void (*ping)(void *arg);
	/* Whether what the server says is read, and all of it has been: only then is silence the server's. */
	bool (*listens)(void *arg);
	/* The server is gone. */
	void (*gone)(void *arg, const char *reason);
};

struct liveness {
	const struct liveness_callbacks *callbacks;
	void *arg;
	uint64_t interval_ms; /* between pings; 0 is never */
	struct event ping_timer;
	uint64_t heard_ms;  /* when something was last read */
	bool unanswered;    /* a ping has been sent since */
	uint64_t pinged_us; /* when the last one was sent */
	uint64_t round_trip_us;

	int fd; /* -1 when there is no connection */
	struct silence silence;
	struct event look_timer; /* pending while something may be unacknowledged */
	const char *doubt;       /* what has happened to make us doubt; NULL for nothing */
	const char *next_doubt;  /* the same, while the one before is being settled */
};

void liveness_init(struct liveness *liveness, struct event_base *base, uint64_t interval_ms,
	const struct liveness_callbacks *callbacks, void *arg);

/* A connection stands, and is watched from now on. */
void liveness_begin(struct liveness *liveness, int fd);

/* It is over. */
void liveness_end(struct liveness *liveness);

/* Something was sent. Costs no system call. */
void liveness_sent(struct liveness *liveness);

/* Something was read; or nothing could be, for we did not listen. */
void liveness_heard(struct liveness *liveness);

/* The answer to a ping was read. */
void liveness_pong(struct liveness *liveness);

/*
 * Something has happened after which the server may be out of reach, such as "the network changed": ping it at once,
 * and give it no more than two seconds to answer. Called while that is under way, it is done again afterwards.
 */
void liveness_doubt(struct liveness *liveness, const char *event);

#endif
