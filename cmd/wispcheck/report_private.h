/* What the formats of a report share: what is known of the run, and what each format does with it. */
#ifndef REPORT_PRIVATE_H
#define REPORT_PRIVATE_H

#include "report.h"

#define OUTCOMES (OUTCOME_SKIP + 1)
/* A byte becomes "\xff" at the most. */
#define REPORT_CAME_SIZE (4 * VERDICT_TEXT_SIZE)
#define REPORT_NOTE_SIZE (8 * VERDICT_TEXT_SIZE)

/* What came of a check that has run. */
struct result {
	const struct check *check;
	enum outcome outcome;
	uint64_t took_us;
	char came[REPORT_CAME_SIZE]; /* printable */
};

struct report {
	const struct report_writer *writer;
	const char *url;
	int verbosity;
	bool colour;
	size_t planned;
	size_t counts[OUTCOMES];
	uint64_t began_us;
	const struct checker *checker; /* what the server is; NULL when there is no connection */
	struct result *results;        /* of which `done` have come */
	size_t done;
};

/* All but NULL are called in this order; `server` or `no_connection`. The texts are printable. */
struct report_writer {
	void (*begin)(struct report *report);
	void (*server)(struct report *report, const char *note);
	void (*group)(struct report *report, const char *name, const char *about);
	void (*check)(struct report *report, const struct result *result);
	void (*no_connection)(struct report *report, const char *why);
	void (*end)(struct report *report);
};

extern const struct report_writer report_text, report_tap, report_json, report_junit;

/* "pass", "fail", "warn" or "skip". */
const char *report_outcome_name(enum outcome outcome);

/* What the server speaks: "Wisp v1", "Wisp v2" or "no Wisp". */
const char *report_protocol(const struct report *report);

/* How long the run has taken. */
uint64_t report_took_us(const struct report *report);

#endif
