/* The pause between attempts: short at first, longer with each one that fails. */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdint.h>

struct backoff {
	uint64_t delay_ms; /* the next one */
};

/* Begin with the shortest again. */
void backoff_reset(struct backoff *backoff);

/* Trying again soon does not help: go on with the longest. */
void backoff_slow(struct backoff *backoff);

/* How long to wait now. */
uint64_t backoff_next_ms(struct backoff *backoff);

#endif
