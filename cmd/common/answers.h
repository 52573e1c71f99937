/* A cache of name servers' answers, each kept for its TTL. The resolver owns it. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stdint.h>

#include "dns_channel.h"

/* Beyond this number, the oldest answer is dropped. */
#define ANSWERS_MAX 4096
/* The longest time to keep an answer, and the time to keep a failure. */
#define ANSWERS_TTL_MAX_MS 300000
#define ANSWERS_FAILURE_MS 5000

struct answers;

/* NULL without memory. */
struct answers *answers_new(void);
void answers_free(struct answers *answers);

/*
 * Find the answer for an absolute name, without regard to case; NULL when there is none. It is valid until the next
 * call.
 */
const struct dns_answer *answers_find(struct answers *answers, const char *name, enum dns_type type, uint64_t now_ms);

/*
 * Keep an answer for its TTL. Refusals and malformed queries are not kept: the next query may succeed. Nothing is kept
 * when memory is out.
 */
void answers_keep(struct answers *answers, const char *name, enum dns_type type, const struct dns_answer *answer,
	uint64_t now_ms);

/* Forget all of them. */
void answers_clear(struct answers *answers);

#endif
