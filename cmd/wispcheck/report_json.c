/*
 * The report as JSON, whose fields wispcheck(1) lists. Fields are added, but none is taken away or changes its meaning
 * without another number of the schema.
 */

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "report_private.h"
#include "target.h"

#define SCHEMA 1

/* A string, or null for NULL. */
static void
string(const char *name, const char *text, const char *behind)
{
	char escaped[JSON_GROWTH * REPORT_NOTE_SIZE];

	if (text == NULL) {
		printf("\"%s\": null%s", name, behind);
		return;
	}
	json_escape(text, escaped);
	printf("\"%s\": \"%s\"%s", name, escaped, behind);
}

static void
flag(const char *name, bool value, const char *behind)
{
	printf("\"%s\": %s%s", name, value ? "true" : "false", behind);
}

/* What the document begins with, whatever came. */
static void
head(const struct report *report, bool reached, const char *error)
{
	printf("{\n\"schema\": %d,\n", SCHEMA);
	string("program", "wispcheck " PACKAGE_VERSION, ",\n");
	printf("\"servers\": [{\n");
	string("url", report->url, ",\n");
	flag("reached", reached, ",\n");
	string("error", error, ",\n");
}

static void
json_server(struct report *report, const char *note)
{
	const struct checker *checker = report->checker;

	head(report, true, NULL);
	printf("\"version\": %u,\n\"credit\": %u,\n", checker->version, checker->credit);
	flag("udp", checker->udp, ",\n");
	flag("confirms", checker->confirms, ",\n");
	flag("asks_for_credentials", checker->asks_for_credentials, ",\n");
	string("targets", checker->targets != NULL ? checker->targets->host : NULL, ",\n");
	flag("reaches_targets", checker->reaches_targets, ",\n");
	flag("reaches_udp_targets", checker->reaches_udp_targets, ",\n");
	string("note", note[0] != '\0' ? note : NULL, ",\n");
	printf("\"checks\": [");
}

static void
json_check(struct report *report, const struct result *result)
{
	const struct check *check = result->check;
	char group[64];

	snprintf(group, sizeof group, "%.*s", (int)strcspn(check->name, "/"), check->name);
	printf("%s\n{", report->done > 1 ? "," : "");
	string("name", check->name, ", ");
	string("group", group, ", ");
	string("outcome", report_outcome_name(result->outcome), ",\n ");
	string("expected", check->expected, ",\n ");
	string("came", result->came, ",\n ");
	string("section", check->section, ",\n ");
	printf("\"seconds\": %.6f}", (double)result->took_us / 1e6);
}

static void
tail(const struct report *report, const char *verdict)
{
	printf("],\n\"summary\": {\"checks\": %zu, \"passed\": %zu, \"failed\": %zu, \"warned\": %zu, \"skipped\": "
	       "%zu, "
	       "\"seconds\": %.6f},\n",
		report->done, report->counts[OUTCOME_PASS], report->counts[OUTCOME_FAIL], report->counts[OUTCOME_WARN],
		report->counts[OUTCOME_SKIP], (double)report_took_us(report) / 1e6);
	string("verdict", verdict, "\n}]\n}\n");
}

static void
json_no_connection(struct report *report, const char *why)
{
	static const char *const unknown[] = {"version", "credit", "udp", "confirms", "asks_for_credentials", "targets",
		"reaches_targets", "reaches_udp_targets", "note"};

	head(report, false, why);
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		string(unknown[i], NULL, ",\n");
	printf("\"checks\": [");
	tail(report, "unknown");
}

static void
json_end(struct report *report)
{
	const bool any = report->done > report->counts[OUTCOME_SKIP];

	printf("%s", report->done > 0 ? "\n" : "");
	tail(report, report->counts[OUTCOME_FAIL] > 0 ? "fail" : any ? "pass" : "unknown");
}

const struct report_writer report_json = {
	.server = json_server,
	.check = json_check,
	.no_connection = json_no_connection,
	.end = json_end,
};
