/* The groups of checks, and which of them --only and --skip leave. */
#ifndef SELECTION_H
#define SELECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "check.h"
#include "options.h"

struct check_group {
	const char *name; /* what stands before the '/' in the names of its checks */
	const char *about;
	const struct check *checks; /* ends with a name that is NULL */
};

/* In the order in which they run; ends with a name that is NULL. */
extern const struct check_group check_groups[];

/* What is wrong with names of checks and groups, separated by commas, or NULL. In static memory. */
const char *selection_check(const char *names);

struct selection {
	const struct option_list *only; /* all, when it is empty */
	const struct option_list *skip;
};

bool selection_has(const struct selection *selection, const struct check *check);
size_t selection_count(const struct selection *selection);

/* Print what is selected: the groups, and their checks with what they expect and where that stands. */
void selection_print(const struct selection *selection);

#endif
