#include "nsswitch.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "words.h"

#define SPACE " \t"

static void
add_source(struct nsswitch *nsswitch, enum name_source source)
{
	for (size_t i = 0; i < nsswitch->count; i++)
		if (nsswitch->sources[i].source == source)
			return;
	nsswitch->sources[nsswitch->count].final = false;
	nsswitch->sources[nsswitch->count++].source = source;
}

static void
note_other(struct nsswitch *nsswitch, const char *module)
{
	const size_t size = strlen(nsswitch->others);

	/* A name that is cut short would be another's. */
	if (size + 1 + strlen(module) < sizeof nsswitch->others)
		snprintf(nsswitch->others + size, sizeof nsswitch->others - size, "%s%s", size > 0 ? " " : "", module);
}

/* Whether an action, such as NOTFOUND=return or !UNAVAIL=return, ends the search for a name that was not found. */
static bool
is_final(const char *action)
{
	const bool negated = *action == '!';
	const char *const equals = strchr(action, '=');
	size_t size;

	action += negated;
	if (equals == NULL || strcasecmp(equals + 1, "return") != 0)
		return false;
	size = (size_t)(equals - action);
	return (size == strlen("NOTFOUND") && strncasecmp(action, "NOTFOUND", size) == 0) != negated;
}

/* Actions stand in brackets behind the module that they are about. */
static void
take_actions(struct nsswitch *nsswitch, char *actions, bool ours)
{
	const char *action;

	while ((action = words_next(&actions)) != NULL)
		if (ours && nsswitch->count > 0 && is_final(action))
			nsswitch->sources[nsswitch->count - 1].final = true;
}

/* Returns whether we have the module. */
static bool
take_module(struct nsswitch *nsswitch, const char *module, bool resolve_is_dns)
{
	const bool resolve = strcmp(module, "resolve") == 0;
	bool ours = true;

	if (strcmp(module, "files") == 0)
		add_source(nsswitch, NAME_SOURCE_FILES);
	else if (strcmp(module, "dns") == 0 || (resolve && resolve_is_dns))
		add_source(nsswitch, NAME_SOURCE_DNS);
	else
		ours = false;
	if (!ours)
		note_other(nsswitch, module);
	return ours;
}

static bool
has_module(const char *line, const char *module)
{
	char copy[WORDS_LINE_SIZE];
	char *rest = copy;
	const char *word;

	snprintf(copy, sizeof copy, "%s", line);
	while ((word = words_next(&rest)) != NULL)
		if (strcmp(word, module) == 0)
			return true;
	return false;
}

static void
parse_hosts_line(struct nsswitch *nsswitch, char *line)
{
	const bool resolve_is_dns = !has_module(line, "dns");
	char module[WORDS_LINE_SIZE];
	bool ours = false;

	while (*(line += strspn(line, SPACE)) != '\0') {
		const bool actions = *line == '[';
		const size_t size = strcspn(line, actions ? "]" : SPACE "[");

		snprintf(module, sizeof module, "%.*s", (int)(size - actions), line + actions);
		line += size;
		if (!actions) {
			ours = take_module(nsswitch, module, resolve_is_dns);
			continue;
		}
		line += *line == ']';
		take_actions(nsswitch, module, ours);
	}
}

void
nsswitch_parse(struct nsswitch *nsswitch, const char *text, size_t n)
{
	static const char key[] = "hosts:";
	char line[WORDS_LINE_SIZE];

	memset(nsswitch, 0, sizeof *nsswitch);
	while (words_line(&text, &n, line)) {
		char *begin = line + strspn(line, SPACE);

		line[strcspn(line, "#\r")] = '\0';
		if (strncmp(begin, key, strlen(key)) == 0)
			parse_hosts_line(nsswitch, begin + strlen(key));
	}
	if (nsswitch->count > 0)
		return;
	add_source(nsswitch, NAME_SOURCE_FILES);
	add_source(nsswitch, NAME_SOURCE_DNS);
}
