/* The order in which flows get their turn. */
#include "unit.h"

#include "schedule.h"

#define FLOWS 8

static struct wisp_schedule schedule;
static struct wisp_flow flows[FLOWS];
static uint64_t now_ms;

static int
set_up(void **state)
{
	(void)state;
	wisp_schedule_init(&schedule);
	now_ms = 1000000;
	for (size_t i = 0; i < FLOWS; i++)
		flows[i] = (struct wisp_flow){0};
	return 0;
}

/* The index of the flow whose turn it is, -1 for none. */
static int
turn(void)
{
	const struct wisp_flow *const flow = wisp_schedule_next(&schedule);

	return flow == NULL ? -1 : (int)(flow - flows);
}

/* The flow whose turn it is sends n bytes: its index. */
static int
send_bytes(size_t n)
{
	const int i = turn();

	assert_int_not_equal(i, -1);
	wisp_schedule_charge(&flows[i], n, now_ms);
	return i;
}

/* It turns out that the flow whose turn it is has nothing to send: its index. */
static int
find_empty(void)
{
	const int i = turn();

	assert_int_not_equal(i, -1);
	wisp_schedule_remove(&schedule, &flows[i]);
	return i;
}

static void
add(int i)
{
	wisp_schedule_add(&schedule, &flows[i], now_ms);
}

/* Add flows 0 to n - 1, and let each use its quantum up, so that they are old. */
static void
add_old(int n)
{
	for (int i = 0; i < n; i++) {
		add(i);
		assert_int_equal(send_bytes(WISP_QUANTUM), i);
	}
	/* The last one is moved when it is next looked at. */
	assert_int_equal(turn(), 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(flows[i].list, WISP_FLOW_OLD);
}

static void
empty_schedule_has_no_turn(void **state)
{
	(void)state;
	assert_int_equal(turn(), -1);
	add(0);
	assert_int_equal(turn(), 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(find_empty(), 0);
	assert_int_equal(turn(), -1);
}

static void
new_flows_come_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		add(i);
	add(0); /* known already: it keeps its place */
	for (int i = 0; i < 3; i++)
		assert_int_equal(find_empty(), i);
	assert_int_equal(turn(), -1);
}

static void
new_flow_goes_before_old_ones(void **state)
{
	(void)state;
	add_old(2);
	add(5);
	add(6);
	assert_int_equal(send_bytes(1), 5);
	assert_int_equal(send_bytes(1), 5);
	assert_int_equal(find_empty(), 5);
	assert_int_equal(find_empty(), 6);
	assert_int_equal(turn(), 0);
}

/* Both sides of the quantum: with a byte of it left a flow keeps its turn, without it goes behind the others. */
static void
quantum_is_the_limit_of_a_new_flow(void **state)
{
	(void)state;
	add(0);
	add(1);
	assert_int_equal(send_bytes(WISP_QUANTUM - 1), 0);
	assert_int_equal(turn(), 0);
	assert_int_equal(flows[0].list, WISP_FLOW_NEW);
	assert_int_equal(send_bytes(1), 0);
	assert_int_equal(turn(), 1);
	assert_int_equal(flows[0].list, WISP_FLOW_OLD);
	assert_int_equal(send_bytes(WISP_QUANTUM), 1);
	assert_int_equal(send_bytes(WISP_QUANTUM), 0);
	assert_int_equal(turn(), 1);
}

/* A newcomer with more than fits goes behind the old ones, and is not owed what it has left. */
static void
demoted_flow_goes_behind(void **state)
{
	(void)state;
	add_old(2);
	add(5);
	assert_int_equal(send_bytes(10), 5);
	wisp_schedule_demote(&schedule, &flows[5]);
	wisp_schedule_demote(&schedule, &flows[5]); /* changes nothing */
	assert_int_equal(flows[5].deficit_bytes, 0);
	assert_int_equal(send_bytes(WISP_QUANTUM), 0);
	assert_int_equal(send_bytes(WISP_QUANTUM), 1);
	assert_int_equal(turn(), 0); /* the round in which it gets its quantum */
	assert_int_equal(send_bytes(WISP_QUANTUM), 0);
	assert_int_equal(send_bytes(WISP_QUANTUM), 1);
	assert_int_equal(send_bytes(WISP_QUANTUM), 5);
}

/* A flow with bulk to send that runs dry for a moment is no newcomer when it has more. */
static void
debt_outlasts_a_moment(void **state)
{
	(void)state;
	add_old(2);
	add(5);
	assert_int_equal(send_bytes(2 * WISP_QUANTUM), 5);
	wisp_schedule_remove(&schedule, &flows[5]);
	now_ms += WISP_FRESH_MS / 2; /* half a quantum of its debt is forgiven */
	add(5);
	assert_int_equal(flows[5].list, WISP_FLOW_OLD);
	assert_int_equal(flows[5].deficit_bytes, -WISP_QUANTUM / 2);
	assert_int_equal(turn(), 0);
}

/* Both sides of the time after which a flow is as good as new. */
static void
debt_is_forgotten_in_time(void **state)
{
	(void)state;
	for (uint64_t quiet_ms = WISP_FRESH_MS - 1; quiet_ms <= WISP_FRESH_MS; quiet_ms++) {
		set_up(state);
		add(5);
		assert_int_equal(send_bytes(9 * WISP_QUANTUM), 5);
		wisp_schedule_remove(&schedule, &flows[5]);
		now_ms += quiet_ms;
		add(5);
		assert_int_equal(flows[5].list, quiet_ms < WISP_FRESH_MS ? WISP_FLOW_OLD : WISP_FLOW_NEW);
	}
	assert_int_equal(flows[5].deficit_bytes, WISP_QUANTUM);
}

static void
empty_old_flow_is_idle(void **state)
{
	(void)state;
	add_old(2);
	assert_int_equal(find_empty(), 0);
	assert_int_equal(flows[0].list, WISP_FLOW_IDLE);
	assert_int_equal(turn(), 1);
}

/* Take each of five flows, old and new, off the schedule: the others keep their order. */
static void
flow_can_be_removed_from_any_place(void **state)
{
	for (int removed = 0; removed < 5; removed++) {
		set_up(state);
		add_old(3);
		add(3);
		add(4);
		wisp_schedule_remove(&schedule, &flows[removed]);
		wisp_schedule_remove(&schedule, &flows[removed]); /* changes nothing */
		assert_int_equal(flows[removed].list, WISP_FLOW_IDLE);
		for (int i = 0; i < 5; i++) {
			static const int order[] = {3, 4, 0, 1, 2};

			if (order[i] == removed)
				continue;
			assert_int_equal(turn(), order[i]);
			wisp_schedule_remove(&schedule, &flows[order[i]]);
		}
		assert_int_equal(turn(), -1);
	}
}

/* Flows that always have something get the same share, whatever the sizes of their packets. */
static void
shares_are_fair(void **state)
{
	static const size_t packet[FLOWS] = {100, 1500, 4096, 16384, 16385, 30000, 65530, 65530};
	size_t sent[FLOWS] = {0}, total = 0;
	struct rng rng = rng_seeded(4);

	(void)state;
	for (int i = 0; i < FLOWS; i++)
		add(i);
	while (total < (size_t)1000 * FLOWS * WISP_QUANTUM) {
		const int i = turn();
		const size_t n = 1 + rng_below(&rng, packet[i]);

		wisp_schedule_charge(&flows[i], n, now_ms);
		sent[i] += n;
		total += n;
	}
	for (int i = 0; i < FLOWS; i++) {
		const size_t fair = total / FLOWS;

		/* No flow is ever more than a packet and a quantum away from its share. */
		assert_between(sent[i], fair - 65530 - WISP_QUANTUM, fair + 65530 + WISP_QUANTUM);
	}
}

/*
 * A flow that says little goes before those that send all along, each time, up to its allowance: from then on it takes
 * turns with them until it has been quiet enough.
 */
static void
sparse_flow_never_waits(void **state)
{
	const size_t portion = 64;

	(void)state;
	add_old(3);
	for (int i = 0; i < 1000; i++) {
		add(5);
		assert_int_equal(send_bytes(portion), 5);
		assert_int_equal(find_empty(), 5);
		now_ms++; /* WISP_QUANTUM / WISP_FRESH_MS bytes of allowance, more than a portion */
		send_bytes(WISP_QUANTUM);
	}
	for (size_t sent = portion; sent < WISP_QUANTUM; sent += portion) {
		add(5);
		assert_int_equal(send_bytes(portion), 5);
		assert_int_equal(find_empty(), 5);
	}
	add(5);
	assert_int_equal(send_bytes(portion), 5);
	assert_int_not_equal(turn(), 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_schedule_has_no_turn, set_up),
		cmocka_unit_test_setup(new_flows_come_in_order, set_up),
		cmocka_unit_test_setup(new_flow_goes_before_old_ones, set_up),
		cmocka_unit_test_setup(quantum_is_the_limit_of_a_new_flow, set_up),
		cmocka_unit_test_setup(demoted_flow_goes_behind, set_up),
		cmocka_unit_test_setup(debt_outlasts_a_moment, set_up),
		cmocka_unit_test_setup(debt_is_forgotten_in_time, set_up),
		cmocka_unit_test_setup(empty_old_flow_is_idle, set_up),
		cmocka_unit_test_setup(flow_can_be_removed_from_any_place, set_up),
		cmocka_unit_test_setup(shares_are_fair, set_up),
		cmocka_unit_test_setup(sparse_flow_never_waits, set_up),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
