/* The header lines that a user adds to the upgrade request. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "header.h"

static const char *
check(const char *line)
{
	const struct option_list lines = {.items = {line}, .count = 1};
	const char *wrong;

	return headers_check(&lines, &wrong);
}

static void
good_lines_are_taken(void **state)
{
	static const char *const good[] = {
		"Name: value",
		"Name:value",
		"Name:",
		"X-!#$%&'*+.^_`|~: all of a token",
		"Name: \ttab\tand: colon, \"quotes\" ",
		"Name: \xc3\xa9",
		"User-Agent: x",
		"Host: example.net:8080",
		"Sec-WebSockets: nearly",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_null(check(good[i]));
}

static void
wrong_lines_are_refused(void **state)
{
	static const char *const wrong[] = {
		"",
		"Name",
		": value",
		"Na me: value",
		"Name : value",
		"N\xc3\xa9: value",
		"Name: a\rb",
		"Name: a\nb",
		"Name: a\x7f",
		"Name: \x01",
		"upgrade: x",
		"CONNECTION: x",
		"Pragma: x",
		"Cache-Control: x",
		"Content-Length: 0",
		"Transfer-Encoding: chunked",
		"Sec-WebSocket-: x",
		"sec-websocket-version: 13",
		"Host: a b",
		"Host: \xc3\xa9",
		"Host:",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_non_null(check(wrong[i]));
}

static void
all_lines_together_have_a_limit(void **state)
{
	char half[HEADERS_SIZE_MAX / 2 - 1];
	struct option_list lines = {.items = {half, half}, .count = 2};
	const char *wrong;

	(void)state;
	memset(half, 'x', sizeof half);
	memcpy(half, "X: ", 3);
	half[sizeof half - 1] = '\0';
	assert_null(headers_check(&lines, &wrong));
	lines.items[2] = "X: x";
	lines.count = 3;
	assert_non_null(headers_check(&lines, &wrong));
	assert_ptr_equal(wrong, lines.items[2]);
}

static void
host_is_apart_from_the_others(void **state)
{
	struct option_list lines = {.items = {"A:  1 ", "hOsT: example.net\t", "B: 2"}, .count = 3};
	const char *const expected = "A: 1\r\nB: 2\r\n";
	char host[HEADER_HOST_SIZE];
	char text[64];
	const char *wrong;

	(void)state;
	assert_true(headers_host(&lines, host));
	assert_string_equal(host, "example.net");
	assert_int_equal(headers_write(&lines, "", text, sizeof text), strlen(expected));
	assert_string_equal(text, expected);
	lines.items[3] = "Host: again";
	lines.count = 4;
	assert_non_null(headers_check(&lines, &wrong));
	lines.count = 1;
	assert_false(headers_host(&lines, host));
}

static void
longest_host_fits(void **state)
{
	struct option_list lines = {.count = 1};
	char host[HEADER_HOST_SIZE];
	char line[sizeof "Host: " + HEADER_HOST_SIZE];
	const char *wrong;

	(void)state;
	snprintf(line, sizeof line, "Host: %0*d", HEADER_HOST_SIZE - 1, 0);
	lines.items[0] = line;
	assert_null(headers_check(&lines, &wrong));
	assert_true(headers_host(&lines, host));
	assert_int_equal(strlen(host), HEADER_HOST_SIZE - 1);
	snprintf(line, sizeof line, "Host: %0*d", HEADER_HOST_SIZE, 0);
	assert_non_null(headers_check(&lines, &wrong));
}

static void
cookies_go_into_the_first_cookie_line(void **state)
{
	static const struct {
		struct option_list lines;
		const char *cookies, *expected;
	} cases[] = {
		{{.count = 0}, "a=1; b=2", "Cookie: a=1; b=2\r\n"},
		{{.items = {"A: 1"}, .count = 1}, "b=2", "A: 1\r\nCookie: b=2\r\n"},
		{{.items = {"cookie: a=1", "Cookie: c=3"}, .count = 2}, "b=2", "cookie: a=1; b=2\r\nCookie: c=3\r\n"},
		{{.items = {"Cookie:"}, .count = 1}, "b=2", "Cookie: b=2\r\n"},
		{{.items = {"Cookie: a=1"}, .count = 1}, "", "Cookie: a=1\r\n"},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(
			headers_write(&cases[i].lines, cases[i].cookies, text, sizeof text), strlen(cases[i].expected));
		assert_string_equal(text, cases[i].expected);
	}
	assert_int_equal(headers_write(NULL, "b=2", text, sizeof text), strlen("Cookie: b=2\r\n"));
	assert_string_equal(text, "Cookie: b=2\r\n");
	text[0] = '?';
	assert_int_equal(headers_write(NULL, "", text, sizeof text), 0);
	assert_int_equal(text[0], '?');
}

static void
nothing_is_written_beyond_the_room(void **state)
{
	const struct option_list lines = {.items = {"Name: value", "Other: value"}, .count = 2};

	(void)state;
	for (size_t n = 0; n < 28; n++) {
		uint8_t *const room = exact_copy("????????????????????????????", n);
		const size_t size = headers_write(&lines, "", (char *)room, n);

		assert_true(size == 27);
		free(room);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_lines_are_taken),
		cmocka_unit_test(wrong_lines_are_refused),
		cmocka_unit_test(all_lines_together_have_a_limit),
		cmocka_unit_test(host_is_apart_from_the_others),
		cmocka_unit_test(longest_host_fits),
		cmocka_unit_test(cookies_go_into_the_first_cookie_line),
		cmocka_unit_test(nothing_is_written_beyond_the_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
