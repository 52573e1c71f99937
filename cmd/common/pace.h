/*
 * How much to send at once on a connection that takes less than there is: what leaves in a moment. All of it waits
 * before what comes next, and nobody can read a TLS record before its end. wire calls it.
 */
#ifndef PACE_H
#define PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_CHUNK_MIN (4 * 1024)
/* As long as nothing is known, too. */
#define PACE_CHUNK_MAX (16 * 1024)
/* A chunk leaves in so much time, */
#define PACE_CHUNK_MS 2
/* going by what left in at least so much. */
#define PACE_MEASURE_MS 100

struct pace {
	bool measures; /* the connection is what everything has waited for since: */
	uint64_t began_ms;
	uint64_t sent_bytes;
	size_t chunk_size;
};

/* Nothing is known; also when everything is sent, for then it is not the connection that takes the time. */
void pace_reset(struct pace *pace);

void pace_sent(struct pace *pace, size_t n);

/* The connection takes no more. */
void pace_blocked(struct pace *pace, uint64_t now_ms);

#endif
