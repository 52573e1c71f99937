/*
 * Whether the server is still there: pings, and how long it has been silent. The tunnel owns it, tells it what it
 * hears, and ends the connection when it says so.
 */
#ifndef LIVENESS_H
#define LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

struct liveness_callbacks {
	/* Send a ping. */
	void (*ping)(void *arg);
	/* Whether what the server says is read, and all of it has been: only then is silence the server's. */
	bool (*listens)(void *arg);
	/* Nothing was heard for so long: the server is gone. */
	void (*gone)(void *arg, uint64_t silent_ms);
};

struct liveness {
	const struct liveness_callbacks *callbacks;
	void *arg;
	uint64_t interval_ms; /* between pings; 0 is never */
	struct event ping_timer;
	uint64_t heard_ms;  /* when something last arrived */
	bool unanswered;    /* a ping has been sent since */
	uint64_t pinged_us; /* when the last one was sent */
	uint64_t round_trip_us;
};

void liveness_init(struct liveness *liveness, struct event_base *base, uint64_t interval_ms,
	const struct liveness_callbacks *callbacks, void *arg);

/* A connection stands, and is watched from now on. */
void liveness_begin(struct liveness *liveness);

/* It is over. */
void liveness_end(struct liveness *liveness);

/* Something arrived; or nothing could, for we did not listen. */
void liveness_heard(struct liveness *liveness);

/* The answer to a ping arrived. */
void liveness_pong(struct liveness *liveness);

#endif
