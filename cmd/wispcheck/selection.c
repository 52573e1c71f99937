#include "selection.h"

#include <stdio.h>
#include <string.h>

/* Names that differ from what was given in no more than this are worth a hint. */
#define NEAR_DISTANCE 3
#define NEAR_MAX 3
#define NAME_MAX_SIZE 64

const struct check_group check_groups[] = {
	{"handshake", "how a connection begins", handshake_checks},
	{"streams", "what is sent arrives, in order and complete", stream_checks},
	{"credit", "how much may be sent", credit_checks},
	{"udp", "datagrams", udp_checks},
	/* The last, for some servers do not outlive it. */
	{"errors", "what cannot be, and what is wrong", error_checks},
	{0},
};

/* A name of a list of them; where the list is at its end, the size is 0. */
struct name {
	const char *p;
	size_t size;
};

static struct name
next_name(const char **list)
{
	struct name name = {*list, strcspn(*list, ",")};

	*list += name.size;
	if (**list == ',')
		++*list;
	return name;
}

static bool
is(struct name name, const char *text)
{
	return strlen(text) == name.size && memcmp(text, name.p, name.size) == 0;
}

/* Whether a name is a check's, or that of its group. */
static bool
names_check(struct name name, const struct check *check)
{
	return is(name, check->name) || (strncmp(check->name, name.p, name.size) == 0 && check->name[name.size] == '/');
}

/* Call for each group and check, until one returns true. Returns whether one did. */
static bool
find(bool (*callback)(const char *name, void *arg), void *arg)
{
	for (const struct check_group *group = check_groups; group->name != NULL; group++) {
		if (callback(group->name, arg))
			return true;
		for (const struct check *check = group->checks; check->name != NULL; check++)
			if (callback(check->name, arg))
				return true;
	}
	return false;
}

static bool
is_callback(const char *known, void *arg)
{
	return is(*(const struct name *)arg, known);
}

/* Of how many letters two names differ (Levenshtein's distance). */
static unsigned
distance(struct name a, const char *b)
{
	unsigned row[NAME_MAX_SIZE + 1];
	const size_t n = strlen(b);

	if (n > NAME_MAX_SIZE)
		return NAME_MAX_SIZE;
	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; i < a.size; i++) {
		unsigned diagonal = row[0]++;

		for (size_t j = 1; j <= n; j++) {
			const unsigned above = row[j];
			unsigned least = diagonal + (a.p[i] != b[j - 1]);

			if (row[j - 1] + 1 < least)
				least = row[j - 1] + 1;
			row[j] = above + 1 < least ? above + 1 : least;
			diagonal = above;
		}
	}
	return row[n];
}

/* What is told of a name that is unknown. */
struct hint {
	struct name name;
	char *text;
	size_t size;
	unsigned count;
};

static bool
is_near(struct name name, const char *known)
{
	const char *what = strchr(known, '/');
	const unsigned most = name.size > 2 * NEAR_DISTANCE ? NEAR_DISTANCE : (unsigned)name.size / 2;

	return distance(name, known) <= most || (what != NULL && distance(name, what + 1) <= most);
}

static bool
hint_callback(const char *known, void *arg)
{
	struct hint *hint = arg;
	const size_t n = strlen(hint->text);

	if (is_near(hint->name, known)) {
		snprintf(hint->text + n, hint->size - n, "%s%s", hint->count == 0 ? "; near are " : ", ", known);
		hint->count++;
	}
	return hint->count == NEAR_MAX;
}

const char *
selection_check(const char *names)
{
	static char wrong[256];

	do {
		struct name name = next_name(&names);
		struct hint hint = {name, wrong, sizeof wrong, 0};

		if (find(is_callback, &name))
			continue;
		snprintf(wrong, sizeof wrong, "there is no check or group '%.*s'",
			(int)(name.size < NAME_MAX_SIZE ? name.size : NAME_MAX_SIZE), name.p);
		if (name.size == 0 || name.size > NAME_MAX_SIZE || (find(hint_callback, &hint), hint.count == 0))
			snprintf(wrong + strlen(wrong), sizeof wrong - strlen(wrong), "; --list shows all");
		return wrong;
	} while (*names != '\0');
	return NULL;
}

static bool
list_has(const struct option_list *list, const struct check *check)
{
	for (size_t i = 0; i < list->count; i++)
		for (const char *p = list->items[i]; *p != '\0';)
			if (names_check(next_name(&p), check))
				return true;
	return false;
}

bool
selection_has(const struct selection *selection, const struct check *check)
{
	return (selection->only->count == 0 || list_has(selection->only, check)) && !list_has(selection->skip, check);
}

static size_t
count_of_group(const struct selection *selection, const struct check_group *group)
{
	size_t count = 0;

	for (const struct check *check = group->checks; check->name != NULL; check++)
		count += selection_has(selection, check);
	return count;
}

size_t
selection_count(const struct selection *selection)
{
	size_t count = 0;

	for (const struct check_group *group = check_groups; group->name != NULL; group++)
		count += count_of_group(selection, group);
	return count;
}

void
selection_print(const struct selection *selection)
{
	bool first = true;

	for (const struct check_group *group = check_groups; group->name != NULL; group++) {
		if (count_of_group(selection, group) == 0)
			continue;
		printf("%s%s: %s\n", first ? "" : "\n", group->name, group->about);
		for (const struct check *check = group->checks; check->name != NULL; check++)
			if (selection_has(selection, check))
				printf("  %s\n      expects: %s\n      section: %s\n", check->name, check->expected,
					check->section);
		first = false;
	}
}
