/* Chunks are what leaves in a moment, as long as it is the connection that everything waits for. */
#include "unit.h"

#include "pace.h"

/* So many bytes leave in the time of a measurement, in which the connection blocks again and again. */
static void
saturate(struct pace *pace, uint64_t *now_ms, size_t bytes)
{
	pace_blocked(pace, *now_ms);
	for (int i = 0; i < 10; i++) {
		pace_sent(pace, bytes / 10);
		*now_ms += PACE_MEASURE_MS / 10;
		pace_blocked(pace, *now_ms);
	}
}

static void
chunk_follows_the_rate(void **state)
{
	struct pace pace;
	uint64_t now_ms = 12345;

	(void)state;
	pace_reset(&pace);
	assert_int_equal(pace.chunk_size, PACE_CHUNK_MAX);
	saturate(&pace, &now_ms, 250000);
	assert_int_equal(pace.chunk_size, 250000 * PACE_CHUNK_MS / PACE_MEASURE_MS);
	saturate(&pace, &now_ms, 10000);
	assert_int_equal(pace.chunk_size, PACE_CHUNK_MIN);
	saturate(&pace, &now_ms, 100000000);
	assert_int_equal(pace.chunk_size, PACE_CHUNK_MAX);
}

/* A program that says little, or a server that gives little credit, does not make the connection a slow one. */
static void
pause_of_ours_says_nothing(void **state)
{
	struct pace pace;
	uint64_t now_ms = 0;

	(void)state;
	pace_reset(&pace);
	saturate(&pace, &now_ms, 250000);
	pace_reset(&pace);
	assert_int_equal(pace.chunk_size, PACE_CHUNK_MAX);
	pace_sent(&pace, 1000);
	now_ms += 10000;
	pace_blocked(&pace, now_ms);
	assert_int_equal(pace.chunk_size, PACE_CHUNK_MAX);
	saturate(&pace, &now_ms, 250000);
	assert_int_equal(pace.chunk_size, 250000 * PACE_CHUNK_MS / PACE_MEASURE_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunk_follows_the_rate),
		cmocka_unit_test(pause_of_ours_says_nothing),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
