#include "value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "log.h"
#include "redact.h"

bool
value_is_list(const struct option_spec *option)
{
	return option->type == OPTION_LIST || option->type == OPTION_LISTEN;
}

bool
value_adds(const struct option_spec *option)
{
	return value_is_list(option) || option->type == OPTION_MORE || option->type == OPTION_LESS;
}

bool
value_is_optional(const struct option_spec *option)
{
	return option->type == OPTION_FLAG || option->type == OPTION_MORE || option->type == OPTION_LESS;
}

bool
value_may_be_empty(const struct option_spec *option)
{
	return option->type == OPTION_MESSAGE || option->type == OPTION_PROXY;
}

/* Write what is wrong with a value, after the part of it that may be shown. Always returns false. */
static bool complain(char wrong[VALUE_WRONG_SIZE], const char *text, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool
complain(char wrong[VALUE_WRONG_SIZE], const char *text, const char *format, ...)
{
	char shown[REDACT_SIZE];
	va_list args;
	int n;

	n = snprintf(wrong, VALUE_WRONG_SIZE, "'%s'", redact(text, shown, sizeof shown));
	va_start(args, format);
	vsnprintf(wrong + n, VALUE_WRONG_SIZE - (size_t)n, format, args);
	va_end(args);
	return false;
}

static bool
parse_count(const char *text, const char **end, double *value)
{
	char *stop;

	errno = 0;
	*value = strtod(text, &stop);
	*end = stop;
	/* strtod takes more than people write: signs, spaces, hexadecimal, "inf". */
	return stop != text && errno == 0 && isfinite(*value) && text[0] >= '0' && text[0] <= '9' &&
	       strpbrk(text, "xXpPeE") == NULL;
}

/* The largest number that the option and its member can take. */
static uint64_t
largest(const struct option_spec *option)
{
	return option->type == OPTION_SECONDS || option->max < SIZE_MAX ? option->max : SIZE_MAX;
}

/* A number in the option's range, in its smallest unit. */
static bool
parse_number(const struct option_spec *option, const char *text, uint64_t *number)
{
	static const char units[] = "KMG";
	const char *end;
	double value;

	if (!parse_count(text, &end, &value))
		return false;
	if (option->type == OPTION_SECONDS)
		value *= 1000;
	if (option->type == OPTION_SIZE && *end != '\0' && strchr(units, *end) != NULL)
		value *= (double)(1ULL << (10 * (strchr(units, *end++) - units + 1)));
	if (*end != '\0' || (option->type == OPTION_COUNT && value != floor(value)))
		return false;
	if (value < (double)option->min || value > (double)largest(option))
		return false;
	*number = (uint64_t)value;
	/* A time that is not zero does not become zero by rounding, for zero has a meaning of its own. */
	if (option->type == OPTION_SECONDS && value > 0 && *number == 0)
		*number = 1;
	return true;
}

static bool
set_number(const struct option_spec *option, const char *text, void *member, char wrong[VALUE_WRONG_SIZE])
{
	uint64_t number;

	if (!parse_number(option, text, &number)) {
		if (option->type == OPTION_SECONDS)
			return complain(wrong, text, " is not a time from %g to %g seconds", (double)option->min / 1000,
				(double)option->max / 1000);
		return complain(
			wrong, text, " is not a number from %" PRIu64 " to %" PRIu64, option->min, largest(option));
	}
	if (option->type == OPTION_SECONDS)
		*(uint64_t *)member = number;
	else
		*(size_t *)member = (size_t)number;
	return true;
}

bool
value_choice(const struct option_spec *option, const char *text, int *position)
{
	const char *choice = option->choices;

	for (*position = 0; choice != NULL; ++*position) {
		const size_t n = strcspn(choice, "|");

		if (strlen(text) == n && strncmp(choice, text, n) == 0)
			return true;
		choice = choice[n] == '|' ? choice + n + 1 : NULL;
	}
	return false;
}

static bool
set_choice(const struct option_spec *option, const char *text, void *values, char wrong[VALUE_WRONG_SIZE])
{
	int position;

	if (!value_choice(option, text, &position))
		return complain(wrong, text, " must be one of %s", option->choices);
	if (option->type == OPTION_LOG_FORMAT)
		log_set_format((enum log_format)position);
	else if (option->type == OPTION_CHOICE)
		*(int *)(void *)((char *)values + option->offset) = position;
	return true;
}

static bool
set_flag(const char *text, bool *member, char wrong[VALUE_WRONG_SIZE])
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (text == NULL || strcasecmp(text, words[i]) == 0) {
			*member = text == NULL || i % 2 != 0;
			return true;
		}
	return complain(wrong, text, " must be yes or no");
}

/* Add `direction` to the member, as often as the value says. */
static bool
count(const char *text, int direction, int *member, char wrong[VALUE_WRONG_SIZE])
{
	if (text == NULL)
		text = "1";
	if (text[0] < '0' || text[0] > '9' || text[1] != '\0')
		return complain(wrong, text, " must be a number from 0 to 9");
	*member += direction * (text[0] - '0');
	return true;
}

static bool
add(const char *text, struct option_list *list, char wrong[VALUE_WRONG_SIZE])
{
	if (list->count == OPTION_LIST_MAX) {
		snprintf(wrong, VALUE_WRONG_SIZE, "given more than %d times", OPTION_LIST_MAX);
		return false;
	}
	list->items[list->count++] = text;
	return true;
}

/* What only the option's owner knows to be wrong. */
static bool
check(const struct program *program, const struct option_spec *option, const char *text, char wrong[VALUE_WRONG_SIZE])
{
	const char *why = NULL;

	if (text != NULL && *text == '\0' && !value_may_be_empty(option)) {
		snprintf(wrong, VALUE_WRONG_SIZE, "the value is empty");
		return false;
	}
	if (option->type == OPTION_LISTEN)
		why = address_check(text);
	else if (program->check != NULL && text != NULL)
		why = program->check(option, text);
	if (why == NULL)
		return true;
	if (option->type != OPTION_PROXY)
		return complain(wrong, text, ": %s", why);
	snprintf(wrong, VALUE_WRONG_SIZE, "%s", why);
	return false;
}

bool
value_set(const struct program *program, const struct option_spec *option, const char *text, void *values,
	char wrong[VALUE_WRONG_SIZE])
{
	void *member = (char *)values + option->offset;

	if (!check(program, option, text, wrong))
		return false;
	switch (option->type) {
	case OPTION_FLAG:
		return set_flag(text, member, wrong);
	case OPTION_TEXT:
	case OPTION_MESSAGE:
	case OPTION_PROXY:
		*(const char **)member = text;
		return true;
	case OPTION_LIST:
	case OPTION_LISTEN:
		return add(text, member, wrong);
	case OPTION_SECONDS:
	case OPTION_COUNT:
	case OPTION_SIZE:
		return set_number(option, text, member, wrong);
	case OPTION_CHOICE:
	case OPTION_LOG_FORMAT:
	case OPTION_COMPLETION:
		return set_choice(option, text, values, wrong);
	case OPTION_MORE:
		return count(text, 1, member, wrong);
	case OPTION_LESS:
		return count(text, -1, member, wrong);
	case OPTION_CONFIG:
	case OPTION_HELP:
	case OPTION_VERSION:
		break;
	}
	return true;
}

bool
value_insert(const struct program *program, const struct option_spec *option, const char *text, size_t before,
	void *values, char wrong[VALUE_WRONG_SIZE])
{
	struct option_list *list = (void *)((char *)values + option->offset);

	if (!check(program, option, text, wrong) || !add(text, list, wrong))
		return false;
	memmove(list->items + before + 1, list->items + before, (list->count - 1 - before) * sizeof *list->items);
	list->items[before] = text;
	return true;
}

void
value_reset(const struct option_spec *option, void *values)
{
	void *member = (char *)values + option->offset;

	if (value_is_list(option))
		((struct option_list *)member)->count = 0;
	else
		*(int *)member = 0;
}
