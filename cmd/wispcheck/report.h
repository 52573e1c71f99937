/*
 * What is printed of a run, as it goes: for people, or for programs. Whatever came from the server is made printable
 * here, so that it can neither forge lines nor move a terminal.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"

enum report_format {
	REPORT_TEXT,
	REPORT_TAP,   /* version 14 */
	REPORT_JSON,  /* as wispcheck(1) has it */
	REPORT_JUNIT, /* XML */
};

struct report;

/* For a run of so many checks of the server at `url`. `verbosity` is for TEXT. NULL without memory. */
struct report *report_new(enum report_format format, const char *url, size_t planned, int verbosity);
void report_free(struct report *report);

/* What the server is. `note` is what a person should know of it before, or "". */
void report_server(struct report *report, const struct checker *checker, const char *note);

/* A group begins, and a check has ended, in so many microseconds. */
void report_group(struct report *report, const char *name, const char *about);
void report_check(struct report *report, const struct check *check, const struct verdict *verdict, uint64_t took_us);

/* There is no connection. */
void report_no_connection(struct report *report, const char *why);

/* All checks have run. Returns whether the server has passed: none has failed, and not all were skipped. */
bool report_end(struct report *report);

/* Whether everything could be written. */
bool report_is_written(void);

#endif
