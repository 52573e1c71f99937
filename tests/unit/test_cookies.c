/* Cookies that redirects set: which are taken, and to whom they go. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "cookies.h"

#define HERE "wss://wisp.test/a/b/"

static struct url
parse(const char *text)
{
	struct url url;

	assert_null(url_parse(text, &url));
	return url;
}

/* A redirect at this URL sets these, one a line. */
static void
set(struct cookies *cookies, const char *at, const char *lines)
{
	const struct url url = parse(at);
	char head[4096] = "HTTP/1.1 302 Found\r\n";

	for (const char *line = lines; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		const size_t n = strlen(head);

		snprintf(head + n, sizeof head - n, "Set-Cookie: %.*s\r\n", (int)strcspn(line, "\n"), line);
	}
	cookies_take(cookies, &url, (struct wisp_upgrade_text){head, strlen(head)});
}

/* What a request for this URL is given. */
static const char *
got(const struct cookies *cookies, const char *at)
{
	static char text[COOKIES_TEXT_SIZE];
	const struct url url = parse(at);
	const size_t n = cookies_write(cookies, &url, text);

	assert_int_equal(n, strlen(text));
	return text;
}

static void
forms_of_a_cookie(void **state)
{
	static const struct {
		const char *line, *sent;
	} cases[] = {
		{"lb=1", "lb=1"},
		{" lb = 1 ; Path=/", "lb=1"},
		{"lb=\"a b\"", "lb=\"a b\""},
		{"lb=a=b", "lb=a=b"},
		{"lb=", "lb="},
		{"lb=1;", "lb=1"},
		{"lb=1; HttpOnly; SameSite=None; unknown; =; ;", "lb=1"},
		{"lb", ""},
		{"=1", ""},
		{"", ""},
		{"lb=\x01", ""},
		{"lb=1; path=/\x7f", ""},
		/* over at once, or not */
		{"lb=1; Max-Age=0", ""},
		{"lb=1; max-age=-1", ""},
		{"lb=1; Max-Age=86400; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "lb=1"},
		{"lb=1; Max-Age=99999999999999999999", "lb=1"},
		{"lb=1; Max-Age=", "lb=1"},
		{"lb=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""},
		{"lb=1; expires=Thu, 01-Jan-1970 00:00:00 GMT", ""},
		{"lb=1; expires=Thursday, 01-Jan-70 00:00:00 GMT", ""},
		{"lb=1; expires=Thu Jan  1 00:00:00 1970", ""},
		{"lb=1; expires=Fri, 01 Jan 2100 00:00:00 GMT", "lb=1"},
		{"lb=1; expires=soon", "lb=1"},
		/* whose it is */
		{"lb=1; Domain=wisp.test", "lb=1"},
		{"lb=1; domain=.TEST", "lb=1"},
		{"lb=1; Domain=", "lb=1"},
		{"lb=1; Domain=other.test", ""},
		{"lb=1; Domain=isp.test", ""},
		{"lb=1; Domain=x.wisp.test", ""},
		{"lb=1; Secure", "lb=1"},
		/* where it counts */
		{"lb=1; Path=/a", "lb=1"},
		{"lb=1; Path=/a/", "lb=1"},
		{"lb=1; Path=/a/b/", "lb=1"},
		{"lb=1; Path=/a/b/c", ""},
		{"lb=1; Path=/x", ""},
		{"lb=1; Path=a", "lb=1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cookies cookies = {.count = 0};

		set(&cookies, HERE, cases[i].line);
		if (strcmp(got(&cookies, HERE), cases[i].sent) != 0)
			fail_msg("%s: %s", cases[i].line, got(&cookies, HERE));
	}
}

static void
only_the_origin_gets_them(void **state)
{
	struct cookies cookies = {.count = 0};

	(void)state;
	set(&cookies, HERE, "lb=1; Path=/; Domain=test");
	assert_string_equal(got(&cookies, "wss://WISP.test/"), "lb=1");
	assert_string_equal(got(&cookies, "wss://wisp.test:444/"), "");
	assert_string_equal(got(&cookies, "ws://wisp.test:443/"), "");
	assert_string_equal(got(&cookies, "wss://other.test/"), "");
	set(&cookies, "wss://other.test/", "lb=2");
	assert_string_equal(got(&cookies, "wss://other.test/"), "lb=2");
	assert_string_equal(got(&cookies, HERE), "lb=1");
	cookies_clear(&cookies);
	assert_string_equal(got(&cookies, HERE), "");
}

static void
secure_ones_take_tls(void **state)
{
	struct cookies cookies = {.count = 0};

	(void)state;
	set(&cookies, "ws://wisp.test/", "lb=1; Secure\nother=2");
	assert_string_equal(got(&cookies, "ws://wisp.test/"), "other=2");
}

static void
an_address_is_in_no_domain(void **state)
{
	struct cookies cookies = {.count = 0};

	(void)state;
	set(&cookies, "ws://127.0.0.1/", "a=1; Domain=0.0.1\nb=2; Domain=127.0.0.1");
	assert_string_equal(got(&cookies, "ws://127.0.0.1/"), "b=2");
}

/* A cookie without a path belongs to where it was set, and to all below that. */
static void
paths_without_a_path(void **state)
{
	static const struct {
		const char *set_at, *asked, *sent;
	} cases[] = {
		{"ws://h/", "ws://h/x/", "lb=1"},
		{"ws://h/a/", "ws://h/a/", "lb=1"},
		{"ws://h/a/", "ws://h/a/b/?x=/c/", "lb=1"},
		{"ws://h/a/b/", "ws://h/a/", ""},
		{"ws://h/a/?x=/b/", "ws://h/a/", "lb=1"},
		{"ws://h/a/", "ws://h/ab/", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cookies cookies = {.count = 0};

		set(&cookies, cases[i].set_at, "lb=1");
		assert_string_equal(got(&cookies, cases[i].asked), cases[i].sent);
	}
}

static void
later_ones_replace_earlier_ones(void **state)
{
	struct cookies cookies = {.count = 0};

	(void)state;
	set(&cookies, HERE, "a=1\nb=2; Path=/\nc=3");
	assert_string_equal(got(&cookies, HERE), "a=1; c=3; b=2");
	set(&cookies, HERE, "a=4; Path=/\nc=5");
	assert_string_equal(got(&cookies, HERE), "a=1; c=5; b=2; a=4");
	set(&cookies, HERE, "a=; Max-Age=0\nb=x; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
	assert_string_equal(got(&cookies, HERE), "c=5; a=4");
}

static void
number_and_size_have_limits(void **state)
{
	struct cookies cookies = {.count = 0};
	char line[2 * COOKIE_SIZE];

	(void)state;
	for (int i = 0; i < 2 * COOKIES_MAX; i++) {
		snprintf(line, sizeof line, "%d=%0*d", i, COOKIE_SIZE - 1 - (i < 10 ? 2 : 3), 0);
		set(&cookies, HERE, line);
	}
	assert_int_equal(cookies.count, COOKIES_MAX);
	assert_int_equal(strlen(got(&cookies, HERE)), COOKIES_MAX * (COOKIE_SIZE + 1) - 2);
	cookies_clear(&cookies);
	snprintf(line, sizeof line, "x=%0*d", COOKIE_SIZE - 2, 0);
	set(&cookies, HERE, line);
	snprintf(line, sizeof line, "x=1; Path=/%0*d", COOKIE_PATH_SIZE, 0);
	set(&cookies, HERE, line);
	assert_int_equal(cookies.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_a_cookie),
		cmocka_unit_test(only_the_origin_gets_them),
		cmocka_unit_test(secure_ones_take_tls),
		cmocka_unit_test(an_address_is_in_no_domain),
		cmocka_unit_test(paths_without_a_path),
		cmocka_unit_test(later_ones_replace_earlier_ones),
		cmocka_unit_test(number_and_size_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
