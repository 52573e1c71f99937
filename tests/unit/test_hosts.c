/* The names in /etc/hosts. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosts.h"

#define LINES 150000

static struct hosts *
read_hosts(const char *text, size_t piece)
{
	const size_t n = strlen(text);
	struct hosts *hosts = hosts_new(n / 2);

	assert_non_null(hosts);
	for (size_t at = 0; at < n; at += piece)
		assert_true(hosts_add(hosts, text + at, n - at < piece ? n - at : piece));
	assert_true(hosts_add(hosts, "", 0));
	return hosts;
}

/* `expected` is a list, with commas: IPv6 addresses first. */
static void
expect(const struct hosts *hosts, const char *name, const char *expected)
{
	struct addresses v6 = {.count = 0}, v4 = {.count = 0};
	char text[1024] = "";
	char one[ADDRESS_TEXT_SIZE];

	assert_int_equal(hosts_find(hosts, name, 80, &v6, &v4), expected[0] != '\0');
	for (size_t i = 0; i < v6.count + v4.count; i++) {
		const struct address *address = i < v6.count ? &v6.items[i] : &v4.items[i - v6.count];

		address_format((const struct sockaddr *)&address->storage, one);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? "," : "", one);
	}
	assert_string_equal(text, expected);
}

static const char text[] = "# 9.9.9.9 comment.test\n"
			   "\n"
			   "1.1.1.1\ta.test  b.test# c.test\r\n"
			   "  ::1 v6.test a.test\n"
			   "2.2.2.2 A.Test\n"
			   "1.1.1.1 a.test.\n"
			   "nonsense bad.test\n"
			   "300.1.1.1 bad.test\n"
			   "3.3.3.3\n"
			   "fe80::1%lo scope.test\n"
			   "4.4.4.4 last.test";

static void
lines_are_read(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < sizeof text; piece++) {
		struct hosts *hosts = read_hosts(text, piece);

		expect(hosts, "a.test", "[::1]:80,1.1.1.1:80,2.2.2.2:80");
		expect(hosts, "A.TEST.", "[::1]:80,1.1.1.1:80,2.2.2.2:80");
		expect(hosts, "b.test", "1.1.1.1:80");
		expect(hosts, "v6.test", "[::1]:80");
		expect(hosts, "last.test", "4.4.4.4:80");
		expect(hosts, "c.test", "");
		expect(hosts, "comment.test", "");
		expect(hosts, "bad.test", "");
		expect(hosts, "scope.test", "");
		expect(hosts, "", "");
		expect(hosts, ".", "");
		expect(hosts, "test", "");
		hosts_free(hosts);
	}
}

static void
long_files_are_indexed(void **state)
{
	struct hosts *hosts = hosts_new(0);
	char line[64], expected[64];

	(void)state;
	for (int i = 0; i < LINES; i++) {
		const int n = snprintf(line, sizeof line, "10.%d.%d.%d %d.test\n", i >> 16, i >> 8 & 255, i & 255, i);

		assert_true(hosts_add(hosts, line, (size_t)n));
	}
	assert_true(hosts_add(hosts, "", 0));
	for (int i = 0; i < LINES; i += 7) {
		snprintf(line, sizeof line, "%d.test", i);
		snprintf(expected, sizeof expected, "10.%d.%d.%d:80", i >> 16, i >> 8 & 255, i & 255);
		expect(hosts, line, expected);
	}
	expect(hosts, "150000.test", "");
	hosts_free(hosts);
}

static void
size_is_bounded(void **state)
{
	static char line[1 << 16];
	struct hosts *hosts = hosts_new(SIZE_MAX / 2);
	size_t taken = 0;

	(void)state;
	assert_non_null(hosts);
	snprintf(line, sizeof line, "%-*s%s", (int)sizeof line - 40, "#", "\n1.1.1.1 a.test\n");
	while (hosts_add(hosts, line, strlen(line)))
		taken += strlen(line);
	assert_true(taken <= HOSTS_TEXT_MAX && taken > HOSTS_TEXT_MAX - sizeof line);
	expect(hosts, "a.test", "1.1.1.1:80");
	hosts_free(hosts);
}

/* One name on many lines has as many addresses as are tried. */
static void
addresses_are_bounded(void **state)
{
	struct hosts *hosts = hosts_new(0);
	struct addresses v6 = {.count = 0}, v4 = {.count = 0};
	char line[64];

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(
			hosts_add(hosts, line, (size_t)snprintf(line, sizeof line, "1.1.%d.%d a\n", i / 256, i % 256)));
	assert_true(hosts_find(hosts, "a", 80, &v6, &v4));
	assert_int_equal(v4.count, ADDRESSES_MAX);
	hosts_free(hosts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(long_files_are_indexed),
		cmocka_unit_test(size_is_bounded),
		cmocka_unit_test(addresses_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
