/* The order in which a name's addresses are tried. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <event2/util.h>

#include "addresses.h"

#define FOUND_MAX 40

/* The addresses of each family that a resolver has found. */
struct found {
	struct addresses v6;
	struct addresses v4;
};

static void
find(struct found *found, const char *text)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr *const sa = (struct sockaddr *)&storage;
	int size = sizeof storage;

	assert_int_equal(evutil_parse_sockaddr_port(text, sa, &size), 0);
	addresses_add(sa->sa_family == AF_INET6 ? &found->v6 : &found->v4, sa, (socklen_t)size);
}

/* `texts` are separated by spaces. */
static void
find_all(struct found *found, const char *texts)
{
	char copy[512];
	char *rest = copy;
	char *text;

	found->v6.count = found->v4.count = 0;
	snprintf(copy, sizeof copy, "%s", texts);
	while ((text = strsep(&rest, " ")) != NULL)
		find(found, text);
}

static void
expect_order(const char *texts, const struct addresses *worked, const char *expected)
{
	struct found found;
	struct addresses addresses;
	char text[1024] = "";

	find_all(&found, texts);
	addresses_merge(&addresses, &found.v6, &found.v4);
	addresses_prefer(&addresses, worked);
	for (size_t i = 0; i < addresses.count; i++) {
		char one[ADDRESS_TEXT_SIZE];

		address_format((const struct sockaddr *)&addresses.items[i].storage, one);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "", one);
	}
	assert_string_equal(text, expected);
}

static void
remember(struct addresses *worked, const char *text)
{
	struct found found = {0};
	struct addresses one;

	find(&found, text);
	addresses_merge(&one, &found.v6, &found.v4);
	addresses_remember(worked, &one.items[0]);
}

static void
families_take_turns(void **state)
{
	const struct addresses none = {0};

	(void)state;
	expect_order("1.1.1.1:80", &none, "1.1.1.1:80");
	expect_order("1.1.1.1:80 [1::1]:80", &none, "[1::1]:80 1.1.1.1:80");
	expect_order("1.1.1.1:80 2.2.2.2:80 [1::1]:80 [2::2]:80 [3::3]:80", &none,
		"[1::1]:80 1.1.1.1:80 [2::2]:80 2.2.2.2:80 [3::3]:80");
	expect_order("1.1.1.1:80 2.2.2.2:80 3.3.3.3:80 [1::1]:80", &none, "[1::1]:80 1.1.1.1:80 2.2.2.2:80 3.3.3.3:80");
	expect_order("1.1.1.1:80 1.1.1.1:80 1.1.1.1:81", &none, "1.1.1.1:80 1.1.1.1:81");
}

static void
what_worked_last_is_first(void **state)
{
	struct addresses worked = {0};

	(void)state;
	remember(&worked, "2.2.2.2:80");
	expect_order("1.1.1.1:80 2.2.2.2:80 [1::1]:80", &worked, "2.2.2.2:80 [1::1]:80 1.1.1.1:80");
	expect_order("1.1.1.1:80 2.2.2.2:81", &worked, "1.1.1.1:80 2.2.2.2:81");
	remember(&worked, "1.1.1.1:80");
	expect_order("1.1.1.1:80 2.2.2.2:80 [1::1]:80", &worked, "1.1.1.1:80 [1::1]:80 2.2.2.2:80");
	remember(&worked, "2.2.2.2:80");
	expect_order("1.1.1.1:80 2.2.2.2:80 [1::1]:80", &worked, "2.2.2.2:80 [1::1]:80 1.1.1.1:80");
	assert_int_equal(worked.count, 2);
}

static void
numbers_are_bounded(void **state)
{
	struct addresses worked = {0}, addresses;
	struct found found = {0};
	char text[32];

	(void)state;
	for (int i = 1; i <= FOUND_MAX; i++) {
		snprintf(text, sizeof text, "10.0.0.%d:80", i);
		find(&found, text);
		remember(&worked, text);
	}
	addresses_merge(&addresses, &found.v6, &found.v4);
	assert_int_equal(addresses.count, ADDRESSES_MAX);
	assert_int_equal(worked.count, ADDRESSES_MAX);
	expect_order("10.0.0.39:80 10.0.0.40:80", &worked, "10.0.0.40:80 10.0.0.39:80");
	snprintf(text, sizeof text, "10.0.0.1:80 10.0.0.%d:80", FOUND_MAX - ADDRESSES_MAX + 1);
	expect_order(text, &worked, "10.0.0.25:80 10.0.0.1:80");
	expect_order("10.0.0.1:80 10.0.0.24:80", &worked, "10.0.0.1:80 10.0.0.24:80");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_take_turns),
		cmocka_unit_test(what_worked_last_is_first),
		cmocka_unit_test(numbers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
