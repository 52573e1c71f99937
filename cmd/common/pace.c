#include "pace.h"

static void
measure_from(struct pace *pace, uint64_t now_ms)
{
	pace->measures = true;
	pace->began_ms = now_ms;
	pace->sent_bytes = 0;
}

void
pace_reset(struct pace *pace)
{
	pace->measures = false;
	pace->chunk_size = PACE_CHUNK_MAX;
}

void
pace_sent(struct pace *pace, size_t n)
{
	pace->sent_bytes += n;
}

void
pace_blocked(struct pace *pace, uint64_t now_ms)
{
	const uint64_t passed_ms = now_ms - pace->began_ms;
	uint64_t size;

	if (!pace->measures) {
		measure_from(pace, now_ms);
		return;
	}
	if (passed_ms < PACE_MEASURE_MS)
		return;
	size = pace->sent_bytes * PACE_CHUNK_MS / passed_ms;
	pace->chunk_size = size < PACE_CHUNK_MIN   ? PACE_CHUNK_MIN
			   : size > PACE_CHUNK_MAX ? PACE_CHUNK_MAX
						   : (size_t)size;
	measure_from(pace, now_ms);
}
