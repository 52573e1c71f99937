/* The pauses between attempts: how they grow, what cuts them short, and what makes them begin again. */
#include "unit.h"

#include <stdbool.h>

#include "backoff.h"

/* A pause as the manual has it, of which a quarter at the most is left out. */
static void
assert_pause(uint64_t pause_ms, uint64_t expected_ms)
{
	assert_between(pause_ms, expected_ms - expected_ms / 4, expected_ms);
}

/* An attempt that fails at once, after the whole pause. Returns the pause after it. */
static uint64_t
fail_once(struct backoff *backoff, uint64_t *now_ms)
{
	uint64_t pause_ms;

	backoff_begin(backoff, *now_ms);
	pause_ms = backoff_next_ms(backoff, *now_ms);
	*now_ms += pause_ms;
	return pause_ms;
}

static void
pauses_double_up_to_the_longest(void **state)
{
	static const uint64_t expected_ms[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct backoff backoff = {0};
	uint64_t now_ms = 12345;

	(void)state;
	backoff_reset(&backoff);
	for (size_t i = 0; i < sizeof expected_ms / sizeof *expected_ms; i++)
		assert_pause(fail_once(&backoff, &now_ms), expected_ms[i]);
	backoff_reset(&backoff);
	assert_pause(fail_once(&backoff, &now_ms), 500);
}

static void
jitter_spreads_them(void **state)
{
	uint64_t shortest_ms = UINT64_MAX, longest_ms = 0;
	struct backoff backoff = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t now_ms = 0, pause_ms;

		backoff_reset(&backoff);
		pause_ms = fail_once(&backoff, &now_ms);
		shortest_ms = pause_ms < shortest_ms ? pause_ms : shortest_ms;
		longest_ms = pause_ms > longest_ms ? pause_ms : longest_ms;
	}
	assert_between(shortest_ms, 375, 400);
	assert_between(longest_ms, 475, 500);
}

/* Also one that lets us in and ends the connection at once, again and again, is not asked more often. */
static void
connections_that_stood_begin_anew(void **state)
{
	struct backoff backoff = {0};
	uint64_t now_ms = 0;

	(void)state;
	backoff_reset(&backoff);
	for (int i = 0; i < 3; i++)
		fail_once(&backoff, &now_ms);
	backoff_begin(&backoff, now_ms);
	backoff_stood(&backoff, BACKOFF_STOOD_MS - 1);
	assert_pause(backoff_next_ms(&backoff, now_ms), 4000);
	backoff_begin(&backoff, now_ms);
	backoff_stood(&backoff, BACKOFF_STOOD_MS);
	assert_pause(backoff_next_ms(&backoff, now_ms), 500);
}

/* Attempts are two seconds apart while somebody waits, and what follows is no longer for it. */
static void
hurry_leaves_the_pauses_as_they_were(void **state)
{
	struct backoff backoff = {0};
	uint64_t now_ms = 0, delay_ms;

	(void)state;
	backoff_reset(&backoff);
	for (int i = 0; i < 3; i++)
		fail_once(&backoff, &now_ms);
	assert_false(backoff_hurry(&backoff, now_ms - 1, 10000, &delay_ms));
	for (int i = 0; i < 4; i++)
		assert_int_equal(fail_once(&backoff, &now_ms), BACKOFF_HURRY_MS);
	now_ms += 10000;
	assert_pause(fail_once(&backoff, &now_ms), 4000);
	assert_pause(fail_once(&backoff, &now_ms), 8000);
}

static void
hurry_brings_an_attempt_forward(void **state)
{
	struct backoff backoff = {0};
	uint64_t now_ms = 0, delay_ms = 0;

	(void)state;
	backoff_reset(&backoff);
	for (int i = 0; i < 5; i++)
		fail_once(&backoff, &now_ms);
	backoff_begin(&backoff, now_ms);
	assert_pause(backoff_next_ms(&backoff, now_ms), 16000);
	assert_true(backoff_hurry(&backoff, now_ms + 500, 1000, &delay_ms));
	assert_int_equal(delay_ms, BACKOFF_HURRY_MS - 500);
	assert_false(backoff_hurry(&backoff, now_ms + 600, 1000, &delay_ms));
	now_ms += BACKOFF_HURRY_MS;
	backoff_begin(&backoff, now_ms);
	assert_pause(backoff_next_ms(&backoff, now_ms), 16000);
	assert_true(backoff_hurry(&backoff, now_ms + 5000, 1000, &delay_ms));
	assert_int_equal(delay_ms, 0);
}

static void
nobody_hurries_a_server_that_refuses_us(void **state)
{
	struct backoff backoff = {0};
	uint64_t now_ms = 0, delay_ms;

	(void)state;
	backoff_reset(&backoff);
	assert_false(backoff_hurry(&backoff, now_ms, 100000, &delay_ms));
	backoff_begin(&backoff, now_ms);
	backoff_refuse(&backoff);
	backoff_stood(&backoff, 1000000);
	assert_pause(backoff_next_ms(&backoff, now_ms), BACKOFF_MAX_MS);
	assert_false(backoff_hurry(&backoff, now_ms, 100000, &delay_ms));
	now_ms += BACKOFF_MAX_MS;
	backoff_begin(&backoff, now_ms);
	assert_int_equal(backoff_next_ms(&backoff, now_ms), BACKOFF_HURRY_MS);
}

/* A change of the network begins anew at once: a name server may not be known before the second attempt. */
static void
change_of_the_network_brings_an_attempt_forward(void **state)
{
	struct backoff backoff = {0};
	uint64_t now_ms = 1, delay_ms = 1;

	(void)state;
	backoff_reset(&backoff);
	for (int i = 0; i < 9; i++)
		fail_once(&backoff, &now_ms);
	backoff_begin(&backoff, now_ms);
	assert_pause(backoff_next_ms(&backoff, now_ms), BACKOFF_MAX_MS);
	now_ms += BACKOFF_HURRY_MS;
	assert_true(backoff_renew(&backoff, now_ms, &delay_ms));
	assert_int_equal(delay_ms, 0);
	assert_pause(fail_once(&backoff, &now_ms), 500);
	assert_pause(fail_once(&backoff, &now_ms), 1000);
}

/* While an attempt is under way, which may fail for what was before, it is the next one's turn. */
static void
change_of_the_network_during_an_attempt(void **state)
{
	struct backoff backoff = {0};
	uint64_t now_ms = 1, delay_ms;

	(void)state;
	backoff_reset(&backoff);
	for (int i = 0; i < 9; i++)
		fail_once(&backoff, &now_ms);
	backoff_begin(&backoff, now_ms);
	backoff.renewed_ms = now_ms;
	assert_false(backoff_renew(&backoff, now_ms, &delay_ms));
	assert_int_equal(backoff_next_ms(&backoff, now_ms + 500), BACKOFF_HURRY_MS - 500);
	backoff_begin(&backoff, now_ms);
	assert_pause(backoff_next_ms(&backoff, now_ms), BACKOFF_MAX_MS);
	backoff_begin(&backoff, now_ms);
	assert_false(backoff_renew(&backoff, now_ms, &delay_ms));
	backoff_stood(&backoff, 1);
	assert_pause(backoff_next_ms(&backoff, now_ms + 60000), BACKOFF_MAX_MS);
}

/* An interface that goes up and down all the time. */
static void
network_that_flaps_makes_no_storm(void **state)
{
	struct backoff backoff = {0};
	uint64_t now_ms = 1, due_ms, delay_ms;
	unsigned attempts = 0;

	(void)state;
	backoff_reset(&backoff);
	backoff_begin(&backoff, now_ms);
	due_ms = now_ms + backoff_next_ms(&backoff, now_ms);
	for (; now_ms < (uint64_t)100 * BACKOFF_MAX_MS; now_ms += 10) {
		if (backoff_renew(&backoff, now_ms, &delay_ms))
			due_ms = now_ms + delay_ms;
		if (now_ms < due_ms)
			continue;
		attempts++;
		backoff_begin(&backoff, now_ms);
		due_ms = now_ms + backoff_next_ms(&backoff, now_ms);
	}
	assert_between(attempts, 100 * 14, 100 * 17);
}

static void
no_network_makes_a_server_take_us(void **state)
{
	struct backoff backoff = {0};
	uint64_t delay_ms;

	(void)state;
	backoff_reset(&backoff);
	backoff_begin(&backoff, 1);
	backoff_refuse(&backoff);
	assert_pause(backoff_next_ms(&backoff, 1), BACKOFF_MAX_MS);
	assert_false(backoff_renew(&backoff, 5000, &delay_ms));
	assert_int_equal(backoff.pause_ms, BACKOFF_MAX_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_double_up_to_the_longest),
		cmocka_unit_test(jitter_spreads_them),
		cmocka_unit_test(connections_that_stood_begin_anew),
		cmocka_unit_test(hurry_leaves_the_pauses_as_they_were),
		cmocka_unit_test(hurry_brings_an_attempt_forward),
		cmocka_unit_test(nobody_hurries_a_server_that_refuses_us),
		cmocka_unit_test(change_of_the_network_brings_an_attempt_forward),
		cmocka_unit_test(change_of_the_network_during_an_attempt),
		cmocka_unit_test(network_that_flaps_makes_no_storm),
		cmocka_unit_test(no_network_makes_a_server_take_us),
	};

	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
