/* URLs of servers, and where redirects from them lead. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

#define BASE "ws://a/b/c/d;p?q"

struct example {
	const char *location;
	const char *target; /* NULL when it is not to be followed */
};

/* A URL just as it is, for url_parse() adds a slash to its path. */
static void
exact_url(const char *text, struct url *url)
{
	struct url any;

	assert_null(url_parse(text[2] == 's' ? "wss://any/" : "ws://any/", &any));
	assert_null(url_resolve(&any, text, url));
	assert_string_equal(url->text, text);
}

static void
expect_targets(const char *base_text, const struct example *examples, size_t count)
{
	struct url base, url;

	exact_url(base_text, &base);
	for (size_t i = 0; i < count; i++) {
		const char *wrong = url_resolve(&base, examples[i].location, &url);

		if (examples[i].target == NULL) {
			assert_non_null(wrong);
		} else {
			assert_null(wrong);
			assert_string_equal(url.text, examples[i].target);
		}
	}
}

/* RFC 3986 section 5.4, but what is about schemes and fragments. */
static void
references_are_resolved(void **state)
{
	static const struct example examples[] = {
		{"g", "ws://a/b/c/g"},
		{"./g", "ws://a/b/c/g"},
		{"g/", "ws://a/b/c/g/"},
		{"/g", "ws://a/g"},
		{"//g", "ws://g/"},
		{"?y", "ws://a/b/c/d;p?y"},
		{"g?y", "ws://a/b/c/g?y"},
		{"#s", "ws://a/b/c/d;p?q"},
		{"g#s", "ws://a/b/c/g"},
		{"g?y#s", "ws://a/b/c/g?y"},
		{";x", "ws://a/b/c/;x"},
		{"g;x?y#s", "ws://a/b/c/g;x?y"},
		{"", "ws://a/b/c/d;p?q"},
		{".", "ws://a/b/c/"},
		{"./", "ws://a/b/c/"},
		{"..", "ws://a/b/"},
		{"../", "ws://a/b/"},
		{"../g", "ws://a/b/g"},
		{"../..", "ws://a/"},
		{"../../", "ws://a/"},
		{"../../g", "ws://a/g"},
		{"../../../g", "ws://a/g"},
		{"../../../../g", "ws://a/g"},
		{"/./g", "ws://a/g"},
		{"/../g", "ws://a/g"},
		{"g.", "ws://a/b/c/g."},
		{".g", "ws://a/b/c/.g"},
		{"g..", "ws://a/b/c/g.."},
		{"..g", "ws://a/b/c/..g"},
		{"./../g", "ws://a/b/g"},
		{"./g/.", "ws://a/b/c/g/"},
		{"g/./h", "ws://a/b/c/g/h"},
		{"g/../h", "ws://a/b/c/h"},
		{"g;x=1/./y", "ws://a/b/c/g;x=1/y"},
		{"g;x=1/../y", "ws://a/b/c/y"},
		{"g?y/./x", "ws://a/b/c/g?y/./x"},
		{"g?y/../x", "ws://a/b/c/g?y/../x"},
		{"//g/a//b/../c", "ws://g/a//c"},
	};

	(void)state;
	expect_targets(BASE, examples, COUNT(examples));
}

static void
scheme_must_be_the_same(void **state)
{
	static const struct example plain[] = {
		{"ws://g/h", "ws://g/h"},
		{"http://g/h", "ws://g/h"},
		{"HTTP://g:80", "ws://g/"},
		{"http://g:443/", "ws://g:443/"},
		{"http://[::1]:8080/x", "ws://[::1]:8080/x"},
		{"wss://g/h", NULL},
		{"https://g/h", NULL},
		{"ftp://g/h", NULL},
		{"http:g", NULL},
	};
	static const struct example tls[] = {
		{"wss://g/h", "wss://g/h"},
		{"https://g/h", "wss://g/h"},
		{"https://g:443/h", "wss://g/h"},
		{"//g:80/h", "wss://g:80/h"},
		{"ws://g/h", NULL},
		{"http://g/h", NULL},
	};

	(void)state;
	expect_targets(BASE, plain, COUNT(plain));
	expect_targets("wss://a/b/", tls, COUNT(tls));
}

static void
nonsense_is_refused(void **state)
{
	static const struct example examples[] = {
		{"http://", NULL},
		{"http:///path", NULL},
		{"//:80/", NULL},
		{"http://user@g/", NULL},
		{"//user:password@g/", NULL},
		{"//g:0/", NULL},
		{"//g:65536/", NULL},
		{"//g:x/", NULL},
		{"//[::1/", NULL},
		{"//[g]/", NULL},
		{"/a b", NULL},
		{"/a\x7f", NULL},
		{"/\xc3\xa9", NULL},
		{":", NULL},
	};

	(void)state;
	expect_targets(BASE, examples, COUNT(examples));
}

/* Up to the limits, and one beyond. */
static void
length_has_a_limit(void **state)
{
	struct url base, url;
	char location[2 * URL_PATH_SIZE];

	(void)state;
	exact_url(BASE, &base);
	snprintf(location, sizeof location, "/%0*d", URL_PATH_SIZE - 2, 0);
	assert_null(url_resolve(&base, location, &url));
	assert_int_equal(strlen(url.path), URL_PATH_SIZE - 1);
	snprintf(location, sizeof location, "/%0*d", URL_PATH_SIZE - 1, 0);
	assert_non_null(url_resolve(&base, location, &url));
	snprintf(location, sizeof location, "/%0*d?%0*d", URL_PATH_SIZE / 2, 0, URL_PATH_SIZE / 2, 0);
	assert_non_null(url_resolve(&base, location, &url));
	snprintf(location, sizeof location, "/?%0*d", URL_PATH_SIZE + 100, 0);
	assert_non_null(url_resolve(&base, location, &url));
	snprintf(location, sizeof location, "//%0*d:65535/", URL_HOST_SIZE - 7, 0);
	assert_null(url_resolve(&base, location, &url));
	snprintf(location, sizeof location, "//%0*d:65535/", URL_HOST_SIZE, 0);
	assert_non_null(url_resolve(&base, location, &url));
}

static bool
same_origin(const char *a_text, const char *b_text)
{
	struct url a, b;

	assert_null(url_parse(a_text, &a));
	assert_null(url_parse(b_text, &b));
	return url_same_origin(&a, &b);
}

static void
origin_is_scheme_host_and_port(void **state)
{
	(void)state;
	assert_true(same_origin("ws://a/b/", "ws://A:80/c/?d"));
	assert_true(same_origin("wss://a:443/", "wss://a"));
	assert_false(same_origin("ws://a/", "ws://b/"));
	assert_false(same_origin("ws://a/", "ws://a:81/"));
	assert_false(same_origin("ws://a:443/", "wss://a/"));
	assert_false(same_origin("ws://a/", "ws://ab/"));
}

/* An address of IPv6 stands in brackets, and nothing else does. */
static void
brackets_are_for_addresses(void **state)
{
	static const char *const wrong[] = {
		"ws://[]/", "ws://[[x]/", "ws://[x]/", "ws://[127.0.0.1]/", "ws://[::1/", "ws://::1/", "ws://[::1]x/"};
	struct url url;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		if (url_parse(wrong[i], &url) == NULL)
			fail_msg("%s is taken for %s", wrong[i], url.text);
	assert_null(url_parse("ws://[::1]:81/", &url));
	assert_true(url.host_is_address);
	assert_string_equal(url.host, "::1");
	assert_string_equal(url.text, "ws://[::1]:81/");
}

/* Hosts are encoded as in browsers (UTS 46, not transitional); what cannot be is refused. */
static void
international_names_are_encoded(void **state)
{
	static const char *const examples[][2] = {
		{"ws://b\u00fccher.test/", "ws://xn--bcher-kva.test/"},
		{"ws://B\u00dcCHER.test:81/a?b", "ws://xn--bcher-kva.test:81/a/?b"},
		{"wss://stra\u00dfe.test", "wss://xn--strae-oqa.test/"},
		{"ws://\u4f8b\u3048\u3002\u30c6\u30b9\u30c8/", "ws://xn--r8jz45g.xn--zckzah/"},
		{"ws://\uff11\uff12\uff17.0.0.1/", "ws://127.0.0.1/"},
		{"ws://xn--bcher-kva.test/", "ws://xn--bcher-kva.test/"},
	};
	static const char *const wrong[] = {"ws://\xff.test/", "ws://a\uff0fb.test/", "ws://\u200d.test/",
		"ws://a \u00fc.test/", "ws://\u00fc@host/", "ws://host/\u00fc"};
	struct url url;

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		assert_null(url_parse(examples[i][0], &url));
		assert_string_equal(url.text, examples[i][1]);
	}
	for (size_t i = 0; i < COUNT(wrong); i++)
		if (url_parse(wrong[i], &url) == NULL)
			fail_msg("%s is taken for %s", wrong[i], url.text);
	expect_targets("ws://a/", &(struct example){"ws://b\u00fccher.test/", "ws://xn--bcher-kva.test/"}, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_resolved),
		cmocka_unit_test(scheme_must_be_the_same),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(length_has_a_limit),
		cmocka_unit_test(origin_is_scheme_host_and_port),
		cmocka_unit_test(brackets_are_for_addresses),
		cmocka_unit_test(international_names_are_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
