/*
 * The options that lead to a server, which all programs that go there have under the same names: what is wrong with
 * them that their types do not say, and what they mean together.
 */
#ifndef USAGE_H
#define USAGE_H

#include <stdbool.h>

#include "options.h"

struct endpoints;
struct tunnel_options;

/* What is wrong with a value, or NULL: for struct program's `check`. */
const char *usage_check_value(const struct option_spec *option, const char *text);

/* What was given, beside what stands in struct tunnel_options already. */
struct usage {
	const struct option_list *servers; /* whose values usage_check_value() has found good */
	const char *proxy;                 /* NULL for what the environment says */
	const char *password_variable;     /* the environment's, for --user */
	const struct option_list *resolve; /* as the servers */
	const char *sni;                   /* as the servers; NULL for none */
};

/*
 * Complete the options of a tunnel: its servers and the password, but not its proxies. Warns when they are not safe.
 * Returns false when they make no sense; the error has been printed then.
 */
bool usage_complete(const struct program *program, const struct usage *usage, struct tunnel_options *options);

/*
 * Then find its proxies. None may be one of the program's own listeners (NULL when it has none). Removes the proxy
 * variables from the environment, because libwebsockets would use some of them its own way. Returns false when --proxy
 * makes no sense; the error has been printed then.
 */
bool usage_find_proxies(const struct program *program, const struct usage *usage, const struct endpoints *listeners,
	struct tunnel_options *options);

#endif
