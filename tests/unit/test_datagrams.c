/* Datagrams that wait: within their bound, in their order, and each with its own size. */
#include "unit.h"

#include "datagrams.h"

static void
oldest_datagrams_make_room(void **state)
{
	static uint8_t p[1000];
	struct datagram_pool pool;
	struct datagram_flow a, b;
	size_t size;

	(void)state;
	datagram_pool_init(&pool, 5000);
	datagram_flow_init(&a, &pool);
	datagram_flow_init(&b, &pool);
	for (uint8_t i = 0; i < 20; i++) {
		p[0] = i;
		datagram_push(i % 2 ? &b : &a, p, sizeof p);
		assert_true(pool.used_bytes <= 5000);
	}
	assert_int_equal(pool.dropped, 16);
	for (uint8_t i = 16; i < 20; i++) {
		assert_int_equal(datagram_next_size(i % 2 ? &b : &a), sizeof p);
		assert_true(datagram_pop(i % 2 ? &b : &a, p, sizeof p, &size));
		assert_int_equal(size, sizeof p);
		assert_int_equal(p[0], i);
	}
	assert_true(datagram_flow_is_empty(&a) && datagram_flow_is_empty(&b));
	assert_int_equal(pool.used_bytes, 0);
}

static void
datagram_that_does_not_fit_is_dropped(void **state)
{
	static uint8_t p[3000];
	struct datagram_pool pool;
	struct datagram_flow flow;
	size_t size;

	(void)state;
	datagram_pool_init(&pool, 2000);
	datagram_flow_init(&flow, &pool);
	datagram_push(&flow, p, 10);
	datagram_push(&flow, p, sizeof p); /* never: what waits stays */
	assert_int_equal(pool.dropped, 1);
	assert_false(datagram_pop(&flow, p, 9, &size));
	assert_true(datagram_flow_is_empty(&flow));
	datagram_push(&flow, NULL, 0);
	datagram_push(&flow, p, 1);
	assert_true(datagram_pop(&flow, p, 0, &size));
	assert_int_equal(size, 0);
	datagram_flow_clear(&flow);
	assert_int_equal(pool.used_bytes, 0);
	assert_false(datagram_pop(&flow, p, sizeof p, &size));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oldest_datagrams_make_room),
		cmocka_unit_test(datagram_that_does_not_fit_is_dropped),
	};

	return cmocka_run_group_tests_name("datagrams", tests, NULL, NULL);
}
