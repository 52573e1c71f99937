/*
 * The options that lead to a server, which all programs that go there have under the same names: what is wrong with
 * them that their types do not say, and what they mean together.
 */
#ifndef USAGE_H
#define USAGE_H

#include <stdbool.h>

#include "options.h"

struct tunnel_options;

/* What is wrong with a value, or NULL: for struct program's `check`. */
const char *usage_check_value(const struct option_spec *option, const char *text);

/* What was given, beside what stands in struct tunnel_options already. */
struct usage {
	const struct option_list *servers; /* whose values usage_check_value() has found good */
	const char *proxy;                 /* NULL for what the environment says */
	const char *password_variable;     /* the environment's, for --user */
};

/*
 * Make the options of a tunnel complete: its servers, its proxies and the password. Warns where they are not safe.
 * Returns false when they make no sense: said.
 */
bool usage_complete(const struct program *program, const struct usage *usage, struct tunnel_options *options);

/* Proxies of the environment are ours to read: libwebsockets would use some of the variables its own way. */
void usage_hide_proxies(void);

#endif
