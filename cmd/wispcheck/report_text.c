/* The report for people: a line per check, more where something is not right, and a summary. */

#include <stdio.h>

#include "report_private.h"
#include "target.h"

#define RED "31"
#define GREEN "32"
#define YELLOW "33"
#define GREY "90"
#define BOLD "1"

static void
paint(const struct report *report, const char *colour, const char *text)
{
	if (report->colour)
		printf("\033[%sm%s\033[m", colour, text);
	else
		fputs(text, stdout);
}

static void
text_server(struct report *report, const char *note)
{
	const struct checker *checker = report->checker;

	paint(report, BOLD, report->url);
	printf(": %s", report_protocol(report));
	if (checker->credit > 0)
		printf(", credit %u", checker->credit);
	fputs(checker->udp ? ", UDP" : "", stdout);
	fputs(checker->confirms ? ", confirms streams" : "", stdout);
	fputs(checker->asks_for_credentials ? ", asks for credentials" : "", stdout);
	puts("");
	if (note[0] != '\0')
		printf("%s\n", note);
}

static void
text_group(struct report *report, const char *name, const char *about)
{
	if (report->verbosity < 0)
		return;
	puts("");
	paint(report, BOLD, name);
	printf(": %s\n", about);
}

static void
text_check(struct report *report, const struct result *result)
{
	static const char *const colours[OUTCOMES] = {GREEN, RED, YELLOW, GREY};
	static const char *const words[OUTCOMES] = {"pass", "FAIL", "warn", "skip"};
	const bool is_bad = result->outcome == OUTCOME_FAIL || result->outcome == OUTCOME_WARN;

	if (report->verbosity < 0 && !is_bad)
		return;
	fputs("  ", stdout);
	paint(report, colours[result->outcome], words[result->outcome]);
	printf("  %s", result->check->name);
	if (!is_bad && result->came[0] != '\0')
		printf(": %s", result->came);
	puts("");
	if (is_bad || report->verbosity > 0)
		printf("        expected  %s\n", result->check->expected);
	if (is_bad)
		printf("        came      %s\n", result->came);
	if (is_bad || report->verbosity > 0)
		printf("        section   %s\n", result->check->section);
}

/* The names of the checks that came out so. */
static void
list(struct report *report, enum outcome outcome, const char *title, const char *colour)
{
	if (report->counts[outcome] == 0)
		return;
	paint(report, colour, title);
	fputs(":", stdout);
	for (size_t i = 0; i < report->done; i++)
		if (report->results[i].outcome == outcome)
			printf(" %s", report->results[i].check->name);
	puts("");
}

static void
text_end(struct report *report)
{
	const size_t *counts = report->counts;
	const size_t ran = report->done - counts[OUTCOME_SKIP];

	printf("\n%zu check%s: %zu passed, %zu failed, %zu warning%s, %zu skipped, in %.1f s\n", report->done,
		report->done == 1 ? "" : "s", counts[OUTCOME_PASS], counts[OUTCOME_FAIL], counts[OUTCOME_WARN],
		counts[OUTCOME_WARN] == 1 ? "" : "s", counts[OUTCOME_SKIP], (double)report_took_us(report) / 1e6);
	list(report, OUTCOME_FAIL, "failed", RED);
	list(report, OUTCOME_WARN, "warnings", YELLOW);
	if (counts[OUTCOME_FAIL] > 0)
		paint(report, RED, "This server does not do what the specification says.");
	else if (ran == 0)
		paint(report, YELLOW, "Nothing of this server could be tested.");
	else if (counts[OUTCOME_SKIP] > 0)
		paint(report, GREEN, "This server passed every check that could run.");
	else
		paint(report, GREEN, "This server passed every check.");
	puts("");
}

const struct report_writer report_text = {
	.server = text_server,
	.group = text_group,
	.check = text_check,
	.end = text_end,
};
