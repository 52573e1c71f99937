#include "silence.h"

/* How soon to look again when the kernel has not tried again yet. */
#define PATIENCE_MS 1000

void
silence_reset(struct silence *silence)
{
	*silence = (struct silence){.doubted = false};
}

void
silence_doubt(struct silence *silence, uint64_t now_ms, uint32_t tries)
{
	const uint64_t deadline_ms = now_ms + SILENCE_DOUBT_MS;

	if (!silence->doubted || silence->deadline_ms > deadline_ms)
		silence->deadline_ms = deadline_ms;
	silence->doubted = true;
	silence->since_ms = now_ms;
	silence->tries = tries;
}

/* The time of an event that long ago, which may be before the clock's zero. */
static uint64_t
moment(uint64_t now_ms, uint32_t ago_ms)
{
	return now_ms > ago_ms ? now_ms - ago_ms : 0;
}

/* Something waits for an answer: a segment with data, or a probe of a closed window, which counts as a try. */
static bool
is_outstanding(const struct silence_sample *sample)
{
	return sample->unacked > 0 || sample->tries > 0;
}

/* What was sent last has not been answered. */
static bool
is_unanswered(const struct silence_sample *sample)
{
	return sample->unacked > 0 ? sample->sent_ago_ms < sample->heard_ago_ms : sample->tries > 0;
}

static void
begin_doubt(struct silence *silence, uint64_t now_ms, const struct silence_sample *sample)
{
	silence->doubted = true;
	silence->since_ms = sample->unacked > 0 ? moment(now_ms, sample->sent_ago_ms) : now_ms;
	silence->deadline_ms = silence->since_ms + SILENCE_GRACE_MS;
	silence->tries = sample->tries;
}

/*
 * A segment is sent again when it has not been answered in time. Of probes, the first one may have been sent just now:
 * it had its time when there is another.
 */
static bool
has_tried_again(const struct silence *silence, uint64_t now_ms, const struct silence_sample *sample)
{
	if (sample->unacked == 0 && sample->tries <= 1)
		return false;
	return sample->tries > silence->tries || moment(now_ms, sample->sent_ago_ms) > silence->since_ms;
}

enum silence_verdict
silence_judge(struct silence *silence, uint64_t now_ms, const struct silence_sample *sample, uint64_t *look_ms)
{
	*look_ms = SILENCE_LOOK_MS;
	if (!is_outstanding(sample) || moment(now_ms, sample->heard_ago_ms) > silence->since_ms)
		silence->doubted = false;
	if (!is_outstanding(sample) && sample->queued_bytes == 0)
		return SILENCE_OVER;
	if (!silence->doubted) {
		if (!is_unanswered(sample))
			return SILENCE_LASTS;
		begin_doubt(silence, now_ms, sample);
	} else if (now_ms >= silence->deadline_ms && has_tried_again(silence, now_ms, sample)) {
		return SILENCE_GONE;
	}
	if (silence->deadline_ms <= now_ms)
		*look_ms = PATIENCE_MS;
	else if (silence->deadline_ms - now_ms < SILENCE_LOOK_MS)
		*look_ms = silence->deadline_ms - now_ms;
	return sample->heard_ago_ms >= SILENCE_LOOK_MS ? SILENCE_DOUBTED : SILENCE_LASTS;
}
