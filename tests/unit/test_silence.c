/* Machines that are gone are found out in time, and machines that are there are left alone, whatever they do not read.
 */
#include "unit.h"

#include <stdbool.h>

#include "silence.h"

/* All within what the issue of a dead server allows. */
#define FOUND_OUT_MS 15000
#define HOUR_MS (3600 * 1000)
#define RETRY_MAX_MS 120000

/* Another machine as our kernel sees it, to which something is sent at `began_ms`, and again after pauses that double.
 */
struct other {
	uint64_t began_ms;
	uint64_t retry_ms;  /* the first pause */
	uint64_t answer_ms; /* after which it answers each segment, without taking it; 0 is never */
	bool probes;        /* its window is closed: what is sent are probes */
	uint64_t heard_ms;  /* before all that */
};

/* What the kernel would say at `now_ms`. */
static struct silence_sample
sample_at(const struct other *other, uint64_t now_ms)
{
	uint64_t sent_ms = other->began_ms, heard_ms = other->heard_ms, pause_ms = other->retry_ms;
	struct silence_sample sample = {.queued_bytes = 1, .unacked = other->probes ? 0 : 1};
	bool answered = false;

	if (other->probes)
		sample.tries = 1;
	while (true) {
		answered = other->answer_ms > 0 && sent_ms + other->answer_ms <= now_ms;
		if (answered)
			heard_ms = sent_ms + other->answer_ms;
		if (sent_ms + pause_ms > now_ms)
			break;
		sent_ms += pause_ms;
		pause_ms = pause_ms * 2 < RETRY_MAX_MS ? pause_ms * 2 : RETRY_MAX_MS;
		sample.tries++;
	}
	if (other->probes && answered)
		sample.tries = 0;
	sample.sent_ago_ms = (uint32_t)(now_ms - (other->probes ? other->heard_ms : sent_ms));
	sample.heard_ago_ms = (uint32_t)(now_ms - heard_ms);
	return sample;
}

/* Look as often as is asked for. Returns when the other machine is taken for gone, or 0 when it is not by `end_ms`. */
static uint64_t
watch(struct silence *silence, const struct other *other, uint64_t now_ms, uint64_t end_ms)
{
	while (now_ms < end_ms) {
		const struct silence_sample sample = sample_at(other, now_ms);
		uint64_t look_ms = 0;

		if (silence_judge(silence, now_ms, &sample, &look_ms) == SILENCE_GONE)
			return now_ms;
		assert_between(look_ms, 1, SILENCE_LOOK_MS);
		now_ms += look_ms;
	}
	return 0;
}

/* Each pause that a kernel begins with, whenever the first look falls. */
static void
machine_that_is_gone(void **state)
{
	static const uint64_t retries_ms[] = {200, 350, 600, 1000, 3000};

	(void)state;
	for (size_t i = 0; i < sizeof retries_ms / sizeof *retries_ms; i++)
		for (uint64_t first_ms = 1; first_ms <= SILENCE_LOOK_MS; first_ms += 13) {
			const struct other other = {
				.began_ms = HOUR_MS,
				.retry_ms = retries_ms[i],
				.heard_ms = first_ms % 2 == 0 ? HOUR_MS - 5 : 0,
			};
			struct silence silence;
			uint64_t gone_ms;

			silence_reset(&silence);
			gone_ms = watch(&silence, &other, HOUR_MS + first_ms, 2 * HOUR_MS);
			assert_between(gone_ms - HOUR_MS, SILENCE_GRACE_MS, FOUND_OUT_MS);
		}
}

/* Also one whose window had just been closed. */
static void
machine_that_is_gone_with_a_closed_window(void **state)
{
	const struct other other = {.began_ms = HOUR_MS, .retry_ms = 200, .probes = true, .heard_ms = HOUR_MS - 200};
	struct silence silence;

	(void)state;
	silence_reset(&silence);
	assert_between(watch(&silence, &other, HOUR_MS + 1000, 2 * HOUR_MS), HOUR_MS + SILENCE_GRACE_MS,
		HOUR_MS + FOUND_OUT_MS);
}

/* Its programs read nothing for an hour, and at last it is asked every two minutes alone. */
static void
machine_that_reads_nothing(void **state)
{
	(void)state;
	for (uint64_t answer_ms = 1; answer_ms < 1500; answer_ms += 97)
		for (int probes = 0; probes < 2; probes++) {
			const struct other other = {
				.began_ms = HOUR_MS,
				.retry_ms = 1700,
				.answer_ms = answer_ms,
				.probes = probes == 1,
				.heard_ms = HOUR_MS - 1,
			};
			struct silence silence;

			silence_reset(&silence);
			assert_int_equal(watch(&silence, &other, HOUR_MS + 1, 2 * HOUR_MS), 0);
		}
}

static void
nothing_is_due_when_all_is_acknowledged(void **state)
{
	const struct silence_sample sample = {.sent_ago_ms = 5, .heard_ago_ms = 70000};
	struct silence silence;
	uint64_t look_ms;

	(void)state;
	silence_reset(&silence);
	silence_doubt(&silence, HOUR_MS, 0);
	assert_int_equal(silence_judge(&silence, HOUR_MS + 5000, &sample, &look_ms), SILENCE_OVER);
	assert_false(silence.doubted);
}

/* What waits to be sent, to a machine that answers, is no reason to doubt it, but one to look again. */
static void
what_was_not_sent_needs_no_answer(void **state)
{
	const struct silence_sample sample = {.queued_bytes = 1000, .sent_ago_ms = 60000, .heard_ago_ms = 60000};
	struct silence silence;
	uint64_t look_ms;

	(void)state;
	silence_reset(&silence);
	silence_doubt(&silence, HOUR_MS, 0);
	assert_int_equal(silence_judge(&silence, HOUR_MS + 5000, &sample, &look_ms), SILENCE_LASTS);
	assert_false(silence.doubted);
}

/* The other end is to be asked when nothing was heard since the last look, and not for a segment just sent. */
static void
doubts_begin_when_nothing_was_heard(void **state)
{
	const struct silence_sample fresh = {
		.queued_bytes = 1, .unacked = 1, .sent_ago_ms = 4, .heard_ago_ms = SILENCE_LOOK_MS - 1};
	const struct silence_sample old = {
		.queued_bytes = 1, .unacked = 1, .sent_ago_ms = 4, .heard_ago_ms = SILENCE_LOOK_MS};
	struct silence silence;
	uint64_t look_ms;

	(void)state;
	silence_reset(&silence);
	assert_int_equal(silence_judge(&silence, HOUR_MS, &fresh, &look_ms), SILENCE_LASTS);
	silence_reset(&silence);
	assert_int_equal(silence_judge(&silence, HOUR_MS, &old, &look_ms), SILENCE_DOUBTED);
}

static void
two_seconds_where_there_is_a_reason_to_doubt(void **state)
{
	const struct other gone = {.began_ms = HOUR_MS, .retry_ms = 250, .heard_ms = HOUR_MS};
	const struct other slow = {.began_ms = HOUR_MS, .retry_ms = 2500, .answer_ms = 1900, .heard_ms = HOUR_MS - 9};
	struct silence silence;

	(void)state;
	silence_reset(&silence);
	silence_doubt(&silence, HOUR_MS, 0);
	assert_int_equal(watch(&silence, &gone, HOUR_MS + SILENCE_DOUBT_MS, 2 * HOUR_MS), HOUR_MS + SILENCE_DOUBT_MS);
	silence_reset(&silence);
	silence_doubt(&silence, HOUR_MS, 0);
	assert_int_equal(watch(&silence, &slow, HOUR_MS + SILENCE_DOUBT_MS, HOUR_MS + 4000), 0);
}

/* A machine that reads nothing is asked now and then, and has to have the time to answer: also just before we look. */
static void
a_probe_on_its_way_is_no_silence(void **state)
{
	struct silence_sample sample = {.queued_bytes = 1000, .tries = 1, .sent_ago_ms = 60000, .heard_ago_ms = 5000};
	struct silence silence;
	uint64_t look_ms;

	(void)state;
	silence_reset(&silence);
	silence_doubt(&silence, HOUR_MS, 0);
	assert_int_equal(silence_judge(&silence, HOUR_MS + SILENCE_DOUBT_MS, &sample, &look_ms), SILENCE_DOUBTED);
	/* Not answered before the next one, it is. */
	sample.tries = 2;
	assert_int_equal(
		silence_judge(&silence, HOUR_MS + SILENCE_DOUBT_MS + look_ms, &sample, &look_ms), SILENCE_GONE);
}

/* An old doubt's time does not become longer by a new one; and what the kernel did not send cannot be answered. */
static void
doubts_that_meet(void **state)
{
	const struct other other = {.began_ms = HOUR_MS, .retry_ms = 6000, .heard_ms = HOUR_MS - 1};
	struct silence silence;
	uint64_t gone_ms;

	(void)state;
	silence_reset(&silence);
	assert_int_equal(watch(&silence, &other, HOUR_MS + 3000, HOUR_MS + 9999), 0);
	silence_doubt(&silence, HOUR_MS + 9500, 1);
	assert_int_equal(silence.deadline_ms, HOUR_MS + SILENCE_GRACE_MS);
	gone_ms = watch(&silence, &other, HOUR_MS + SILENCE_GRACE_MS, 2 * HOUR_MS);
	assert_between(gone_ms, HOUR_MS + 18000, HOUR_MS + 19000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_that_is_gone),
		cmocka_unit_test(machine_that_is_gone_with_a_closed_window),
		cmocka_unit_test(machine_that_reads_nothing),
		cmocka_unit_test(nothing_is_due_when_all_is_acknowledged),
		cmocka_unit_test(what_was_not_sent_needs_no_answer),
		cmocka_unit_test(doubts_begin_when_nothing_was_heard),
		cmocka_unit_test(two_seconds_where_there_is_a_reason_to_doubt),
		cmocka_unit_test(a_probe_on_its_way_is_no_silence),
		cmocka_unit_test(doubts_that_meet),
	};

	return cmocka_run_group_tests_name("silence", tests, NULL, NULL);
}
