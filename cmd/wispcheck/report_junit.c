/* The report as JUnit's XML, as CI services read it. Its counts stand in front, so it comes at the end, in one piece.
 */

#include <stdio.h>
#include <string.h>

#include "report_private.h"

/* Text of an attribute or an element; it is printable. */
static void
text(const char *p)
{
	for (; *p != '\0'; p++) {
		if (*p == '<')
			fputs("&lt;", stdout);
		else if (*p == '>')
			fputs("&gt;", stdout);
		else if (*p == '&')
			fputs("&amp;", stdout);
		else if (*p == '"')
			fputs("&quot;", stdout);
		else
			putchar(*p);
	}
}

static void
attribute(const char *name, const char *value)
{
	printf(" %s=\"", name);
	text(value);
	putchar('"');
}

static void
counts(const struct report *report, size_t tests, size_t errors)
{
	attribute("name", "wispcheck");
	printf(" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n", tests,
		report->counts[OUTCOME_FAIL], errors, report->counts[OUTCOME_SKIP],
		(double)report_took_us(report) / 1e6);
}

static void
begin(const struct report *report, size_t tests, size_t errors)
{
	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
	counts(report, tests, errors);
	printf("  <testsuite");
	counts(report, tests, errors);
	printf("    <properties><property name=\"url\"");
	attribute("value", report->url);
	printf("/></properties>\n");
}

/* What came, for people who look at the results of a test. */
static void
details(const struct result *result)
{
	printf("expected: ");
	text(result->check->expected);
	printf("\ncame: ");
	text(result->came);
	printf("\nsection: ");
	text(result->check->section);
}

static void
test(const struct result *result)
{
	const char *name = result->check->name;
	char group[80];

	snprintf(group, sizeof group, "wispcheck.%.*s", (int)strcspn(name, "/"), name);
	printf("    <testcase");
	attribute("classname", group);
	attribute("name", name);
	printf(" time=\"%.6f\">", (double)result->took_us / 1e6);
	if (result->outcome == OUTCOME_FAIL) {
		printf("<failure");
		attribute("message", result->came);
		printf(">");
		details(result);
		printf("</failure>");
	} else if (result->outcome == OUTCOME_SKIP) {
		printf("<skipped");
		attribute("message", result->came);
		printf("/>");
	} else if (result->came[0] != '\0') {
		printf("<system-out>%s", result->outcome == OUTCOME_WARN ? "warning\n" : "");
		details(result);
		printf("</system-out>");
	}
	printf("</testcase>\n");
}

static void
end(void)
{
	printf("  </testsuite>\n</testsuites>\n");
}

static void
junit_no_connection(struct report *report, const char *why)
{
	begin(report, 1, 1);
	printf("    <testcase classname=\"wispcheck\" name=\"connection\"><error");
	attribute("message", why);
	printf("/></testcase>\n");
	end();
}

static void
junit_end(struct report *report)
{
	begin(report, report->done, 0);
	for (size_t i = 0; i < report->done; i++)
		test(&report->results[i]);
	end();
}

const struct report_writer report_junit = {
	.no_connection = junit_no_connection,
	.end = junit_end,
};
