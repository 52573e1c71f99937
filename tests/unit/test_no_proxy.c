/* no_proxy's list of hosts. */
#include "unit.h"

#include <string.h>

#include "no_proxy.h"

struct example {
	const char *list;
	const char *host;
	bool has;
};

static void
expect(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (no_proxy_has(examples[i].list, examples[i].host) != examples[i].has)
			fail_msg("'%s' and %s", examples[i].list, examples[i].host);
}

static void
names_are_matched_by_labels(void **state)
{
	static const struct example examples[] = {
		{"example.com", "example.com", true},
		{"example.com", "EXAMPLE.com", true},
		{"example.com", "www.example.com", true},
		{".example.com", "www.example.com", true},
		{".example.com", "example.com", true},
		{"example.com.", "example.com", true},
		{"example.com", "example.com.", true},
		{"example.com", "notexample.com", false},
		{"example.com", "example.org", false},
		{"example.com", "com", false},
		{"www.example.com", "example.com", false},
		{".com", "example.com", true},
		{".", "example.com", false},
		{"..", "example.com", false},
		{"*.example.com", "www.example.com", false},
		{"", "example.com", false},
		{" ,, ", "example.com", false},
		{"localhost", "localhost", true},
	};

	(void)state;
	expect(examples, COUNT(examples));
}

static void
items_are_separated_by_commas_or_spaces(void **state)
{
	static const struct example examples[] = {
		{"a,b,c", "b", true},
		{"a b c", "c", true},
		{" a ,\tb ,c ", "b", true},
		{"a,,c", "c", true},
		{"a,b,c", "a,b", false},
		{"a,b", "c", false},
		{"*", "anything", true},
		{"a, *", "::1", true},
		{"**", "anything", false},
	};

	(void)state;
	expect(examples, COUNT(examples));
}

static void
addresses_are_matched_as_such(void **state)
{
	static const struct example examples[] = {
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.10", false},
		{".0.0.1", "127.0.0.1", false},
		{"0.1", "10.0.0.1", false},
		{"::1", "::1", true},
		{"[::1]", "0:0::1", true},
		{"2001:DB8::1", "2001:db8:0::1", true},
		{"::1", "127.0.0.1", false},
		{"127.0.0.1", "127.0.0.1.example.com", false},
	};

	(void)state;
	expect(examples, COUNT(examples));
}

static void
networks_have_a_prefix(void **state)
{
	static const struct example examples[] = {
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.128.0.0/9", "10.128.0.1", true},
		{"10.128.0.0/9", "10.127.255.255", false},
		{"192.168.1.0/31", "192.168.1.1", true},
		{"192.168.1.0/31", "192.168.1.2", false},
		{"192.168.1.1/32", "192.168.1.1", true},
		{"192.168.1.1/32", "192.168.1.0", false},
		{"0.0.0.0/0", "1.2.3.4", true},
		{"0.0.0.0/0", "::1", false},
		{"2001:db8::/32", "2001:db8:1::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"[2001:db8::]/33", "2001:db8:8000::1", false},
		{"::/0", "::1", true},
		{"::1/128", "::1", true},
		{"::1/129", "::1", false},
		{"10.0.0.0/33", "10.0.0.0", false},
		{"10.0.0.0/", "10.0.0.0", false},
		{"10.0.0.0/8x", "10.0.0.0", false},
		{"10.0.0.0/-1", "10.0.0.0", false},
		{"10.0.0.0/99999999999999999999", "10.0.0.0", false},
		{"10.0.0.0/8", "example.com", false},
	};

	(void)state;
	expect(examples, COUNT(examples));
}

static void
long_items_match_nothing(void **state)
{
	char list[1000];

	(void)state;
	memset(list, 'a', sizeof list - 1);
	list[sizeof list - 1] = '\0';
	assert_false(no_proxy_has(list, list));
	assert_false(no_proxy_has(list, "a"));
	memcpy(list + sizeof list - 3, ",*", 2);
	assert_true(no_proxy_has(list, "b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_matched_by_labels),
		cmocka_unit_test(items_are_separated_by_commas_or_spaces),
		cmocka_unit_test(addresses_are_matched_as_such),
		cmocka_unit_test(networks_have_a_prefix),
		cmocka_unit_test(long_items_match_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
