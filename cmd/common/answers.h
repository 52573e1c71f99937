/* Answers of name servers, for as long as they say they hold. The resolver keeps them, to ask less. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stdint.h>

#include "dns_channel.h"

/* Beyond that, the oldest one is forgotten. */
#define ANSWERS_MAX 4096
/* No answer is kept for longer, and no failure. */
#define ANSWERS_TTL_MAX_MS 300000
#define ANSWERS_FAILURE_MS 5000

struct answers;

/* NULL without memory. */
struct answers *answers_new(void);
void answers_free(struct answers *answers);

/* The answer for an absolute name, whose case does not matter; NULL when there is none. It holds until the next call.
 */
const struct dns_answer *answers_find(struct answers *answers, const char *name, enum dns_type type, uint64_t now_ms);

/*
 * Keep an answer for its time, which is none for those that tell of no server's mind. Without memory it is not kept.
 */
void answers_keep(struct answers *answers, const char *name, enum dns_type type, const struct dns_answer *answer,
	uint64_t now_ms);

/* Forget all of them. */
void answers_clear(struct answers *answers);

#endif
