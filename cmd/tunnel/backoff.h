/*
 * When to try again. The pause between attempts is short at first and doubles each time that it is waited out; programs
 * that wait cut it short. There is no clock here: the caller passes the time, in milliseconds.
 */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000
/* The shortest time between attempts while programs wait for the tunnel. */
#define BACKOFF_HURRY_MS 2000
/* After a connection that stood this long, the next pause is the shortest again. */
#define BACKOFF_STOOD_MS 2000

struct backoff {
	uint64_t pause_ms;       /* the next one, if nothing cuts it short */
	uint64_t begun_ms;       /* the last attempt */
	uint64_t due_ms;         /* the next attempt */
	uint64_t hurry_until_ms; /* a program may be waiting until then */
	bool whole;              /* nothing has cut the pause short so far */
	bool refused;            /* programs that wait do not cut the pause short */
	bool changed;            /* the network changed while an attempt was under way */
	uint64_t renewed_ms;     /* when a network change last made the pauses short again; 0 for never */
};

/* Begin with the shortest pause again. */
void backoff_reset(struct backoff *backoff);

/* An attempt begins. */
void backoff_begin(struct backoff *backoff, uint64_t now_ms);

/* The server has refused us, and will do so again: the next pause is the longest, even when programs wait. */
void backoff_refuse(struct backoff *backoff);

/* A connection has ended after standing for stood_ms. */
void backoff_stood(struct backoff *backoff, uint64_t stood_ms);

/* The attempt has failed, or the connection has ended. Returns how long to wait. */
uint64_t backoff_next_ms(struct backoff *backoff, uint64_t now_ms);

/*
 * A program will wait for the tunnel for patience_ms. Returns whether this brings the next attempt forward, and sets
 * *delay_ms to the time until it then.
 */
bool backoff_hurry(struct backoff *backoff, uint64_t now_ms, uint64_t patience_ms, uint64_t *delay_ms);

/*
 * The network has changed: try again at once, but not within BACKOFF_HURRY_MS of the last attempt, and with short
 * pauses from then on. Some networks change all the time, so pauses become short only once in BACKOFF_MAX_MS: there are
 * at most 17 attempts in that time. Returns as backoff_hurry() does.
 */
bool backoff_renew(struct backoff *backoff, uint64_t now_ms, uint64_t *delay_ms);

#endif
