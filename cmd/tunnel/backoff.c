#include "backoff.h"

#include <openssl/rand.h>

#define DELAY_MIN_MS 500
#define DELAY_MAX_MS 30000

void
backoff_reset(struct backoff *backoff)
{
	backoff->delay_ms = DELAY_MIN_MS;
}

void
backoff_slow(struct backoff *backoff)
{
	backoff->delay_ms = DELAY_MAX_MS;
}

/* Up to a quarter less than the delay, so that the clients of a server that comes back do not come all at once. */
static uint64_t
with_jitter(uint64_t delay_ms)
{
	uint16_t random = 0;

	RAND_bytes((unsigned char *)&random, sizeof random);
	return delay_ms - delay_ms / 4 * random / UINT16_MAX;
}

uint64_t
backoff_next_ms(struct backoff *backoff)
{
	const uint64_t delay_ms = backoff->delay_ms;

	backoff->delay_ms = delay_ms * 2 < DELAY_MAX_MS ? delay_ms * 2 : DELAY_MAX_MS;
	return with_jitter(delay_ms);
}
