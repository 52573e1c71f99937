/* How long answers of name servers are kept. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"

static void
keep(struct answers *answers, const char *name, enum dns_result result, uint32_t ttl_s)
{
	const struct dns_answer answer = {.result = result, .ttl_s = ttl_s, .count = result == DNS_FOUND};

	answers_keep(answers, name, DNS_A, &answer, 1000);
}

/* Until when one is kept that came at 1000 ms. */
static void
expect_kept(enum dns_result result, uint32_t ttl_s, uint64_t kept_ms)
{
	struct answers *answers = answers_new();

	assert_non_null(answers);
	keep(answers, "name.test", result, ttl_s);
	if (kept_ms > 0)
		assert_non_null(answers_find(answers, "NAME.test", DNS_A, 1000 + kept_ms - 1));
	assert_null(answers_find(answers, "name.test", DNS_AAAA, 1000));
	assert_null(answers_find(answers, "other.test", DNS_A, 1000));
	assert_null(answers_find(answers, "name.test", DNS_A, 1000 + kept_ms));
	answers_free(answers);
}

static void
answers_have_their_time(void **state)
{
	(void)state;
	expect_kept(DNS_FOUND, 0, 0);
	expect_kept(DNS_FOUND, 1, 1000);
	expect_kept(DNS_FOUND, 300, 300000);
	expect_kept(DNS_FOUND, 86400, 300000);
	expect_kept(DNS_FOUND, UINT32_MAX, 300000);
	expect_kept(DNS_NO_NAME, 0, 5000);
	expect_kept(DNS_NO_DATA, 0, 0);
	expect_kept(DNS_NO_DATA, 1, 5000);
	expect_kept(DNS_SERVER_FAILED, 0, 5000);
	expect_kept(DNS_SILENT, 0, 5000);
	expect_kept(DNS_REFUSED, 0, 0);
	expect_kept(DNS_BAD_FORM, 0, 0);
}

static void
number_is_bounded(void **state)
{
	struct answers *answers = answers_new();
	char name[32];

	(void)state;
	for (int i = 0; i < ANSWERS_MAX + 10; i++) {
		snprintf(name, sizeof name, "%d.test", i);
		keep(answers, name, DNS_FOUND, 300);
	}
	assert_null(answers_find(answers, "9.test", DNS_A, 1000));
	assert_non_null(answers_find(answers, "10.test", DNS_A, 1000));
	assert_non_null(answers_find(answers, name, DNS_A, 1000));
	answers_free(answers);
}

static void
newer_answers_replace_older_ones(void **state)
{
	struct answers *answers = answers_new();

	(void)state;
	keep(answers, "name.test", DNS_NO_NAME, 0);
	keep(answers, "name.test", DNS_FOUND, 1);
	assert_int_equal(answers_find(answers, "name.test", DNS_A, 1000)->result, DNS_FOUND);
	keep(answers, "name.test", DNS_FOUND, 0);
	assert_null(answers_find(answers, "name.test", DNS_A, 1000));
	answers_free(answers);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_have_their_time),
		cmocka_unit_test(number_is_bounded),
		cmocka_unit_test(newer_answers_replace_older_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
