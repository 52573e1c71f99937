#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "report_private.h"
#include "utf8.h"

const char *
report_outcome_name(enum outcome outcome)
{
	static const char *const names[OUTCOMES] = {"pass", "fail", "warn", "skip"};

	return names[outcome];
}

const char *
report_protocol(const struct report *report)
{
	const struct checker *checker = report->checker;

	if (checker->version == 2)
		return "Wisp v2";
	return checker->greets || checker->kept_out != NULL ? "Wisp v1" : "no Wisp";
}

uint64_t
report_took_us(const struct report *report)
{
	return clock_now_us() - report->began_us;
}

/* See no-color.org. */
static bool
may_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
	       strcmp(term, "dumb") != 0;
}

/* U+FFFE and U+FFFF, and their like in other planes, which XML and YAML do not allow either. */
static bool
is_noncharacter(const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;

	return size >= 3 && bytes[size - 1] >= 0xbe && bytes[size - 2] == 0xbf && (bytes[size - 3] & 0x8f) == 0x8f;
}

/* Write what is no character for people, byte by byte, as \xNN. What does not fit is left out. */
static void
make_printable(const char *text, char *out, size_t n)
{
	char *const end = out + n;

	while (*text != '\0') {
		size_t size = utf8_size(text);
		const bool good = size > 0 && !utf8_is_control(text) && !is_noncharacter(text, size);

		if (size == 0)
			size = 1;
		if ((size_t)(end - out) <= 4 * size)
			break;
		if (good) {
			memcpy(out, text, size);
			out += size;
		}
		for (size_t i = 0; i < size && !good; i++)
			out += sprintf(out, "\\x%02x", (unsigned char)text[i]);
		text += size;
	}
	*out = '\0';
}

struct report *
report_new(enum report_format format, const char *url, size_t planned, int verbosity)
{
	static const struct report_writer *const writers[] = {&report_text, &report_tap, &report_json, &report_junit};
	struct report *report = calloc(1, sizeof *report);

	if (report == NULL)
		return NULL;
	report->writer = writers[format];
	report->url = url;
	report->planned = planned;
	report->verbosity = verbosity;
	report->colour = may_colour();
	report->began_us = clock_now_us();
	report->results = calloc(planned > 0 ? planned : 1, sizeof *report->results);
	if (report->results == NULL) {
		free(report);
		return NULL;
	}
	if (report->writer->begin != NULL)
		report->writer->begin(report);
	return report;
}

void
report_free(struct report *report)
{
	if (report == NULL)
		return;
	free(report->results);
	free(report);
}

void
report_server(struct report *report, const struct checker *checker, const char *note)
{
	char text[REPORT_NOTE_SIZE];

	report->checker = checker;
	make_printable(note, text, sizeof text);
	if (report->writer->server != NULL)
		report->writer->server(report, text);
	fflush(stdout);
}

void
report_group(struct report *report, const char *name, const char *about)
{
	if (report->writer->group != NULL)
		report->writer->group(report, name, about);
}

void
report_check(struct report *report, const struct check *check, const struct verdict *verdict, uint64_t took_us)
{
	struct result *result = &report->results[report->done];

	if (report->done == report->planned)
		return;
	*result = (struct result){.check = check, .outcome = verdict->outcome, .took_us = took_us};
	make_printable(verdict->came, result->came, sizeof result->came);
	report->counts[verdict->outcome]++;
	report->done++;
	if (report->writer->check != NULL)
		report->writer->check(report, result);
	fflush(stdout);
}

void
report_no_connection(struct report *report, const char *why)
{
	char text[REPORT_NOTE_SIZE];

	make_printable(why, text, sizeof text);
	if (report->writer->no_connection != NULL)
		report->writer->no_connection(report, text);
	fflush(stdout);
}

bool
report_end(struct report *report)
{
	if (report->writer->end != NULL)
		report->writer->end(report);
	fflush(stdout);
	return report->counts[OUTCOME_FAIL] == 0 && report->counts[OUTCOME_SKIP] < report->done;
}

bool
report_is_written(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0;
}
