/* How many connections there are from each address. */
#include "unit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <event2/util.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "sources.h"

#define MANY 5000

static struct sockaddr_storage
address(const char *text)
{
	struct sockaddr_storage storage = {0};
	int size = sizeof storage;

	assert_int_equal(evutil_parse_sockaddr_port(text, (struct sockaddr *)&storage, &size), 0);
	return storage;
}

static bool
is_counted(const char *text)
{
	const struct sockaddr_storage storage = address(text);
	uint8_t key[SOURCE_KEY_SIZE];

	return source_key((const struct sockaddr *)&storage, key);
}

static bool
are_one(const char *a, const char *b)
{
	const struct sockaddr_storage one = address(a), other = address(b);
	uint8_t keys[2][SOURCE_KEY_SIZE];

	memset(keys, 0xff, sizeof keys);
	assert_true(source_key((const struct sockaddr *)&one, keys[0]));
	assert_true(source_key((const struct sockaddr *)&other, keys[1]));
	return memcmp(keys[0], keys[1], SOURCE_KEY_SIZE) == 0;
}

static size_t
enter(struct sources *sources, const char *text, struct source **source)
{
	const struct sockaddr_storage storage = address(text);

	return sources_enter(sources, (const struct sockaddr *)&storage, source);
}

static void
this_machine_is_not_counted(void **state)
{
	const struct sockaddr_un un = {.sun_family = AF_UNIX};
	uint8_t key[SOURCE_KEY_SIZE];
	struct sources sources = {0};
	struct source *source;

	(void)state;
	assert_false(is_counted("127.0.0.1:1"));
	assert_false(is_counted("127.8.9.10:1"));
	assert_false(is_counted("[::1]:1"));
	assert_false(is_counted("[::ffff:127.0.0.1]:1"));
	assert_false(source_key((const struct sockaddr *)&un, key));
	assert_true(is_counted("128.0.0.1:1"));
	assert_true(is_counted("[::2]:1"));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(enter(&sources, "127.0.0.1:1", &source), 0);
		assert_null(source);
		sources_leave(&sources, source);
	}
	assert_null(sources.tree);
}

static void
what_one_address_is(void **state)
{
	(void)state;
	assert_true(are_one("192.0.2.1:1", "192.0.2.1:65535"));
	assert_false(are_one("192.0.2.1:1", "192.0.2.2:1"));
	assert_true(are_one("192.0.2.1:1", "[::ffff:192.0.2.1]:1"));
	/* A network of 64 bits is one machine's. */
	assert_true(are_one("[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:2"));
	assert_false(are_one("[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1"));
	/* On a link, it is everybody's. */
	assert_true(are_one("[fe80::1]:1", "[fe80::1]:2"));
	assert_false(are_one("[fe80::1]:1", "[fe80::2]:1"));
	/* Families do not mix. */
	assert_false(are_one("192.0.2.1:1", "[c000:201::]:1"));
}

static void
connections_come_and_go(void **state)
{
	struct sources sources = {0};
	struct source *first, *second, *other;

	(void)state;
	assert_int_equal(enter(&sources, "192.0.2.1:1", &first), 1);
	assert_int_equal(enter(&sources, "192.0.2.1:2", &second), 2);
	assert_ptr_equal(first, second);
	assert_int_equal(enter(&sources, "192.0.2.2:1", &other), 1);
	sources_leave(&sources, first);
	assert_int_equal(enter(&sources, "192.0.2.1:3", &first), 2);
	sources_leave(&sources, first);
	sources_leave(&sources, second);
	assert_int_equal(enter(&sources, "192.0.2.1:4", &first), 1);
	sources_leave(&sources, first);
	sources_leave(&sources, other);
	assert_null(sources.tree);
}

/* Nothing is kept of those that have gone: a leak would be found by the sanitizer. */
static void
many_addresses(void **state)
{
	static struct source *kept[MANY];
	struct sources sources = {0};
	struct sockaddr_storage storage = address("10.0.0.0:1");
	struct sockaddr_in *in = (void *)&storage;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		in->sin_addr.s_addr = 10 | i << 8;
		assert_int_equal(sources_enter(&sources, (const struct sockaddr *)&storage, &kept[i]), 1);
	}
	for (size_t i = 0; i < MANY; i++)
		sources_leave(&sources, kept[(i * 7) % MANY]);
	assert_null(sources.tree);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_machine_is_not_counted),
		cmocka_unit_test(what_one_address_is),
		cmocka_unit_test(connections_come_and_go),
		cmocka_unit_test(many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
