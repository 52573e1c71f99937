#include "backoff.h"

#include <openssl/rand.h>

void
backoff_reset(struct backoff *backoff)
{
	backoff->pause_ms = BACKOFF_MIN_MS;
	backoff->whole = false;
}

void
backoff_begin(struct backoff *backoff, uint64_t now_ms)
{
	/*
	 * Attempts in a hurry do not lengthen the pause: otherwise a few seconds of them would leave the longest pause
	 * for programs that come later.
	 */
	if (backoff->whole)
		backoff->pause_ms = backoff->pause_ms * 2 < BACKOFF_MAX_MS ? backoff->pause_ms * 2 : BACKOFF_MAX_MS;
	backoff->whole = false;
	backoff->refused = backoff->changed = false;
	backoff->begun_ms = backoff->due_ms = now_ms;
}

void
backoff_refuse(struct backoff *backoff)
{
	backoff->refused = true;
	backoff->pause_ms = BACKOFF_MAX_MS;
}

void
backoff_stood(struct backoff *backoff, uint64_t stood_ms)
{
	backoff->changed = false; /* that was before */
	if (!backoff->refused && stood_ms >= BACKOFF_STOOD_MS)
		backoff_reset(backoff);
}

/* Up to a quarter less than the pause, so that the clients of a server that comes back do not come all at once. */
static uint64_t
with_jitter(uint64_t pause_ms)
{
	uint16_t random = 0;

	RAND_bytes((unsigned char *)&random, sizeof random);
	return pause_ms - pause_ms / 4 * random / UINT16_MAX;
}

/* Bring the next attempt forward as far as allowed. Returns whether it comes sooner. */
static bool
bring_forward(struct backoff *backoff, uint64_t now_ms, uint64_t *delay_ms)
{
	const uint64_t earliest_ms = backoff->begun_ms + BACKOFF_HURRY_MS;
	const uint64_t due_ms = earliest_ms > now_ms ? earliest_ms : now_ms;

	if (due_ms >= backoff->due_ms)
		return false;
	backoff->due_ms = due_ms;
	backoff->whole = false;
	*delay_ms = due_ms - now_ms;
	return true;
}

uint64_t
backoff_next_ms(struct backoff *backoff, uint64_t now_ms)
{
	const bool hurry = !backoff->refused && now_ms < backoff->hurry_until_ms;
	uint64_t pause_ms = with_jitter(backoff->pause_ms);

	backoff->whole = !hurry || pause_ms <= BACKOFF_HURRY_MS;
	if (!backoff->whole)
		pause_ms = BACKOFF_HURRY_MS;
	backoff->due_ms = now_ms + pause_ms;
	if (backoff->changed && !backoff->refused)
		bring_forward(backoff, now_ms, &pause_ms);
	return pause_ms;
}

bool
backoff_hurry(struct backoff *backoff, uint64_t now_ms, uint64_t patience_ms, uint64_t *delay_ms)
{
	backoff->hurry_until_ms = now_ms + patience_ms;
	return !backoff->refused && bring_forward(backoff, now_ms, delay_ms);
}

bool
backoff_renew(struct backoff *backoff, uint64_t now_ms, uint64_t *delay_ms)
{
	backoff->changed = true;
	if (backoff->refused)
		return false;
	if (backoff->renewed_ms == 0 || now_ms - backoff->renewed_ms >= BACKOFF_MAX_MS) {
		backoff->renewed_ms = now_ms;
		backoff_reset(backoff);
	}
	return bring_forward(backoff, now_ms, delay_ms);
}
