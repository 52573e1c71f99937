#include "bench_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "log.h"
#include "url.h"

#define TITLE_WIDTH 40
#define COLUMN_WIDTH 11

struct figure {
	const char *title;
	const char *key; /* in JSON; stable */
};

static const struct figure figures[BENCH_FIGURES] = {
	[BENCH_ROUND_TRIP_MEDIAN] = {"round trip, median (us)", "round_trip_median_us"},
	[BENCH_ROUND_TRIP_P99] = {"round trip, p99 (us)", "round_trip_p99_us"},
	[BENCH_NEW_STREAMS] = {"new streams (per second)", "new_streams_per_second"},
	[BENCH_DOWN_1] = {"down, 1 stream (MB/s)", "down_1_mb_per_second"},
	[BENCH_DOWN_10] = {"down, 10 streams (MB/s)", "down_10_mb_per_second"},
	[BENCH_DOWN_10_FAIRNESS] = {"down, 10 streams, fairness (Jain)", "down_10_fairness"},
	[BENCH_DOWN_50] = {"down, 50 streams (MB/s)", "down_50_mb_per_second"},
	[BENCH_UP_1] = {"up, 1 stream (MB/s)", "up_1_mb_per_second"},
	[BENCH_UP_10] = {"up, 10 streams (MB/s)", "up_10_mb_per_second"},
	[BENCH_UP_10_FAIRNESS] = {"up, 10 streams, fairness (Jain)", "up_10_fairness"},
	[BENCH_UP_50] = {"up, 50 streams (MB/s)", "up_50_mb_per_second"},
	[BENCH_BESIDE_DOWN_MEDIAN] = {"round trip beside 4 down, median (us)", "beside_down_median_us"},
	[BENCH_BESIDE_DOWN_P99] = {"round trip beside 4 down, p99 (us)", "beside_down_p99_us"},
	[BENCH_BESIDE_UP_MEDIAN] = {"round trip beside 4 up, median (us)", "beside_up_median_us"},
	[BENCH_BESIDE_UP_P99] = {"round trip beside 4 up, p99 (us)", "beside_up_p99_us"},
};

void
bench_note(struct bench_server *server, const char *measurement, const char *text)
{
	struct bench_note *note = &server->notes[server->note_count];

	if (server->note_count == BENCH_NOTES_MAX)
		return;
	server->note_count++;
	note->measurement = measurement;
	snprintf(note->text, sizeof note->text, "%s", text);
	log_make_printable(note->text);
}

void
bench_print_head(const struct bench_table *table)
{
	for (size_t i = 0; i < table->server_count; i++) {
		const struct bench_server *server = &table->servers[i];

		printf("[%zu] %s  ", i + 1, server->url->text);
		if (server->reached)
			printf("Wisp v%u, credit %u\n", server->version, server->credit);
		else
			printf("cannot be reached\n");
	}
	printf("\n%-*s", TITLE_WIDTH, "");
	for (size_t i = 0; i < table->server_count; i++) {
		char label[24];

		snprintf(label, sizeof label, "[%zu]", i + 1);
		printf("%*s", COLUMN_WIDTH, label);
	}
	printf("\n");
	fflush(stdout);
}

/* Three digits that count are enough for people. */
static int
decimals(double value)
{
	return value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 1 ? 2 : 3;
}

void
bench_print_row(const struct bench_table *table, enum bench_figure figure)
{
	printf("%-*s", TITLE_WIDTH, figures[figure].title);
	for (size_t i = 0; i < table->server_count; i++) {
		const double value = table->servers[i].figures[figure];

		if (value < 0)
			printf("%*s", COLUMN_WIDTH, "-");
		else
			printf("%*.*f", COLUMN_WIDTH, decimals(value), value);
	}
	printf("\n");
	fflush(stdout);
}

void
bench_print_notes(const struct bench_table *table)
{
	const char *before = "\n";

	for (size_t i = 0; i < table->server_count; i++)
		for (size_t k = 0; k < table->servers[i].note_count; k++) {
			const struct bench_note *note = &table->servers[i].notes[k];

			printf("%s[%zu] %s: %s\n", before, i + 1, note->measurement, note->text);
			before = "";
		}
}

/* ---- JSON ---- */

static void
print_text(const char *text)
{
	char *escaped = malloc(strlen(text) * JSON_GROWTH + 1);

	if (escaped == NULL) {
		printf("\"\"");
		return;
	}
	json_escape(text, escaped);
	printf("\"%s\"", escaped);
	free(escaped);
}

static void
print_figures(const struct bench_server *server)
{
	printf("\"figures\":{");
	for (enum bench_figure figure = 0; figure < BENCH_FIGURES; figure++) {
		printf("%s\"%s\":", figure > 0 ? "," : "", figures[figure].key);
		if (server->figures[figure] < 0)
			printf("null");
		else
			printf("%.3f", server->figures[figure]);
	}
	printf("},\"notes\":[");
	for (size_t i = 0; i < server->note_count; i++) {
		printf("%s{\"measurement\":", i > 0 ? "," : "");
		print_text(server->notes[i].measurement);
		printf(",\"text\":");
		print_text(server->notes[i].text);
		printf("}");
	}
	printf("]");
}

void
bench_print_json(const struct bench_table *table, double seconds)
{
	printf("{\"seconds\":%.3f,\"servers\":[", seconds);
	for (size_t i = 0; i < table->server_count; i++) {
		const struct bench_server *server = &table->servers[i];

		printf("%s{\"url\":", i > 0 ? "," : "");
		print_text(server->url->text);
		printf(",\"reached\":%s,", server->reached ? "true" : "false");
		if (server->reached)
			printf("\"version\":%u,\"credit\":%u,", server->version, server->credit);
		else
			printf("\"version\":null,\"credit\":null,");
		print_figures(server);
		printf("}");
	}
	printf("]}\n");
	fflush(stdout);
}
