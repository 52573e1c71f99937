/* What was measured, as a table with a column per server, or as JSON. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

struct url;

enum bench_figure {
	BENCH_ROUND_TRIP_MEDIAN,
	BENCH_ROUND_TRIP_P99,
	BENCH_NEW_STREAMS,
	BENCH_DOWN_1,
	BENCH_DOWN_10,
	BENCH_DOWN_10_FAIRNESS,
	BENCH_DOWN_50,
	BENCH_UP_1,
	BENCH_UP_10,
	BENCH_UP_10_FAIRNESS,
	BENCH_UP_50,
	BENCH_BESIDE_DOWN_MEDIAN,
	BENCH_BESIDE_DOWN_P99,
	BENCH_BESIDE_UP_MEDIAN,
	BENCH_BESIDE_UP_P99,
	BENCH_FIGURES,
};

#define BENCH_NOTES_MAX 16
#define BENCH_NOTE_SIZE 256

struct bench_note {
	const char *measurement;
	char text[BENCH_NOTE_SIZE];
};

struct bench_server {
	const struct url *url;
	bool reached;                             /* it has shaken hands */
	bool measured;                            /* and it leads to the targets */
	uint8_t version;                          /* reached */
	uint32_t credit;                          /* reached: of a new stream */
	double figures[BENCH_FIGURES];            /* in the unit of the report; negative when there is none */
	struct bench_note notes[BENCH_NOTES_MAX]; /* what went wrong */
	size_t note_count;
};

struct bench_table {
	struct bench_server servers[OPTION_LIST_MAX];
	size_t server_count;
};

/* Note what went wrong, made fit to print. */
void bench_note(struct bench_server *server, const char *measurement, const char *text);

/* The table, as it becomes: which servers there are, one figure of all of them, and what went wrong. */
void bench_print_head(const struct bench_table *table);
void bench_print_row(const struct bench_table *table, enum bench_figure figure);
void bench_print_notes(const struct bench_table *table);

void bench_print_json(const struct bench_table *table, double seconds);

#endif
