/* The report as TAP, version 14: what every harness of Perl's kind reads, and that of automake. */

#include <stdio.h>

#include "json.h"
#include "report_private.h"

/* Strings of JSON are strings of YAML. */
static void
yaml(const char *name, const char *text)
{
	char escaped[JSON_GROWTH * REPORT_NOTE_SIZE];

	json_escape(text, escaped);
	printf("  %s: \"%s\"\n", name, escaped);
}

static void
tap_begin(struct report *report)
{
	printf("TAP version 14\n1..%zu\n", report->planned);
}

static void
tap_server(struct report *report, const char *note)
{
	printf("# %s: %s\n", report->url, report_protocol(report));
	if (note[0] != '\0')
		printf("# %s\n", note);
}

static void
tap_check(struct report *report, const struct result *result)
{
	printf("%sok %zu - %s", result->outcome == OUTCOME_FAIL ? "not " : "", report->done, result->check->name);
	if (result->outcome == OUTCOME_SKIP)
		printf(" # SKIP %s", result->came);
	puts("");
	if (result->outcome == OUTCOME_SKIP || (result->outcome == OUTCOME_PASS && result->came[0] == '\0'))
		return;
	puts("  ---");
	yaml("severity", report_outcome_name(result->outcome));
	yaml("expected", result->check->expected);
	yaml("came", result->came);
	yaml("section", result->check->section);
	puts("  ...");
}

static void
tap_no_connection(struct report *report, const char *why)
{
	printf("Bail out! %s: %s\n", report->url, why);
}

static void
tap_end(struct report *report)
{
	printf("# %zu passed, %zu failed, %zu warned, %zu skipped\n", report->counts[OUTCOME_PASS],
		report->counts[OUTCOME_FAIL], report->counts[OUTCOME_WARN], report->counts[OUTCOME_SKIP]);
}

const struct report_writer report_tap = {
	.begin = tap_begin,
	.server = tap_server,
	.check = tap_check,
	.no_connection = tap_no_connection,
	.end = tap_end,
};
