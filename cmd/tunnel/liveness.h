/*
 * Checks whether the server is still there. Pings show whether the server answers; the kernel's TCP counters show
 * whether its machine does. A link owns it, reports what is sent and received, and ends the connection when the server
 * is gone.
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
	/*
	 * Whether the connection is being read and all that arrived has been read. Only then does silence come from the
	 * server.
	 */
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
	bool unanswered;    /* a ping has been sent since heard_ms */
	uint64_t pinged_us; /* when the last one was sent */
	uint64_t round_trip_us;

	int fd; /* -1 when there is no connection */
	struct silence silence;
	struct event look_timer; /* pending while something may be unacknowledged */
	const char *doubt;       /* the event that raised doubt; NULL for none */
	const char *next_doubt;  /* a later event, while the first is being checked */
};

void liveness_init(struct liveness *liveness, struct event_base *base, uint64_t interval_ms,
	const struct liveness_callbacks *callbacks, void *arg);

/* A connection has been made: watch it from now on. */
void liveness_begin(struct liveness *liveness, int fd);

/* It is over. */
void liveness_end(struct liveness *liveness);

/* Something was sent. Costs no system call. */
void liveness_sent(struct liveness *liveness);

/* Something was read, or silence does not count because we did not read. */
void liveness_heard(struct liveness *liveness);

/* The answer to a ping was read. */
void liveness_pong(struct liveness *liveness);

/*
 * After this event, such as "the network changed", the server may be out of reach: ping it at once, and give it two
 * seconds to answer. A call while a check is under way has the check repeated afterwards.
 */
void liveness_doubt(struct liveness *liveness, const char *event);

#endif
