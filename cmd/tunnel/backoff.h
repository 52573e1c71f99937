/*
 * When to try again: the pause between attempts is short at first and doubles with each one that is waited out, and
 * programs that wait cut it short. It has no clock: the caller says what time it is, in milliseconds.
 */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000
/* When programs wait for the tunnel, attempts are this close at the closest. */
#define BACKOFF_HURRY_MS 2000
/* A connection that stood for so long was a good one: the next pause is the shortest again. */
#define BACKOFF_STOOD_MS 2000

struct backoff {
	uint64_t pause_ms;       /* the next one, if nothing cuts it short */
	uint64_t begun_ms;       /* the last attempt */
	uint64_t due_ms;         /* the next attempt */
	uint64_t hurry_until_ms; /* somebody may be waiting up to then */
	bool whole;              /* the pause is waited out, so far */
	bool refused;            /* hurrying does not help */
	bool changed;            /* the network has, while an attempt was under way */
	uint64_t renewed_ms;     /* when a change of the network last made the pauses short again; 0 for never */
};

/* Begin with the shortest pause again. */
void backoff_reset(struct backoff *backoff);

/* An attempt begins. */
void backoff_begin(struct backoff *backoff, uint64_t now_ms);

/* The server has refused us, and will do so again: the next pause is the longest, whoever waits. */
void backoff_refuse(struct backoff *backoff);

/* A connection is over that had stood for so long. */
void backoff_stood(struct backoff *backoff, uint64_t stood_ms);

/* The attempt has failed, or the connection is over: how long to wait now. */
uint64_t backoff_next_ms(struct backoff *backoff, uint64_t now_ms);

/*
 * Somebody waits so long for the tunnel. Returns whether that brings the attempt forward that is waited for, and sets
 * *delay_ms to when it is then.
 */
bool backoff_hurry(struct backoff *backoff, uint64_t now_ms, uint64_t patience_ms, uint64_t *delay_ms);

/*
 * The network has changed: try again at once, but not within BACKOFF_HURRY_MS of the last attempt, and with short
 * pauses from then on. A network may change without end: pauses become short only once in BACKOFF_MAX_MS, so that there
 * are no more than 17 attempts in that time. Returns as backoff_hurry() does.
 */
bool backoff_renew(struct backoff *backoff, uint64_t now_ms, uint64_t *delay_ms);

#endif
