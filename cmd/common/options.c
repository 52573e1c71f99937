#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "log.h"
#include "version.h"

#define OPTIONS_MAX 64
/* getopt's values for options without a letter begin here. */
#define LONG_ONLY 256
/* Where --help begins the explanations. */
#define HELP_COLUMN 28

void
options_complain(const struct program *program, const char *format, ...)
{
	va_list args;
	char text[1024];

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_make_printable(text);
	fprintf(stderr, "%s: %s; see %s --help\n", program->name, text, program->name);
}

static void
print_option(const struct option_spec *option)
{
	char left[80];
	const int n = snprintf(left, sizeof left, "  %c%c%s --%s%s%s", option->letter != 0 ? '-' : ' ',
		option->letter != 0 ? option->letter : ' ', option->letter != 0 ? "," : " ", option->name,
		option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");

	printf("%s%s%*s%s\n", left, n >= HELP_COLUMN ? "\n" : "", n >= HELP_COLUMN ? HELP_COLUMN : HELP_COLUMN - n, "",
		option->help);
}

static void
print_help(const struct program *program)
{
	printf("Usage: %s %s\n%s\n", program->name, program->synopsis, program->purpose);
	if (program->operands != NULL)
		printf("\n%s\n", program->operands);
	for (const struct option_spec *option = program->options; option->name != NULL; option++) {
		if (option->group != NULL)
			printf("\n%s:\n", option->group);
		print_option(option);
	}
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

/* A number in the option's range, in its smallest unit. */
static bool
parse_number(const struct option_spec *option, const char *text, size_t *number)
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
	if (value < (double)option->min || value > (double)option->max)
		return false;
	*number = (size_t)value;
	/* A time that is not zero does not become zero by rounding, for zero has a meaning of its own. */
	if (option->type == OPTION_SECONDS && value > 0 && *number == 0)
		*number = 1;
	return true;
}

static bool
parse_choice(const struct option_spec *option, const char *text, int *position)
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

static void
complain_of_number(const struct program *program, const struct option_spec *option, const char *text)
{
	if (option->type == OPTION_SECONDS)
		options_complain(program, "--%s: '%s' is not a time from %g to %g seconds", option->name, text,
			(double)option->min / 1000, (double)option->max / 1000);
	else
		options_complain(program, "--%s: '%s' is not a number from %zu to %zu", option->name, text, option->min,
			option->max);
}

static enum options_result
apply(const struct program *program, const struct option_spec *option, const char *text, char *member)
{
	struct option_list *list;
	const char *wrong;
	size_t number;

	switch (option->type) {
	case OPTION_FLAG:
		*(bool *)(void *)member = true;
		break;
	case OPTION_TEXT:
		*(const char **)(void *)member = text;
		break;
	case OPTION_LISTEN:
		wrong = address_check(text);
		if (wrong != NULL) {
			options_complain(program, "--%s %s: %s", option->name, text, wrong);
			return OPTIONS_WRONG;
		}
		/* fall through */
	case OPTION_LIST:
		list = (void *)member;
		if (list->count == OPTION_LIST_MAX) {
			options_complain(program, "--%s: given more than %d times", option->name, OPTION_LIST_MAX);
			return OPTIONS_WRONG;
		}
		list->items[list->count++] = text;
		break;
	case OPTION_SECONDS:
	case OPTION_COUNT:
	case OPTION_SIZE:
		if (!parse_number(option, text, &number)) {
			complain_of_number(program, option, text);
			return OPTIONS_WRONG;
		}
		if (option->type == OPTION_SECONDS)
			*(uint64_t *)(void *)member = number;
		else
			*(size_t *)(void *)member = number;
		break;
	case OPTION_CHOICE:
		if (!parse_choice(option, text, (int *)(void *)member)) {
			options_complain(program, "--%s: '%s' is none of %s", option->name, text, option->choices);
			return OPTIONS_WRONG;
		}
		break;
	case OPTION_MORE:
		++*(int *)(void *)member;
		break;
	case OPTION_LESS:
		--*(int *)(void *)member;
		break;
	case OPTION_HELP:
		print_help(program);
		return OPTIONS_DONE;
	case OPTION_VERSION:
		version_print(program->name);
		return OPTIONS_DONE;
	}
	return OPTIONS_RUN;
}

/* The program's table as getopt_long wants it. */
struct getopt_table {
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 2];
};

static void
build_table(const struct program *program, struct getopt_table *table)
{
	char *shorts = table->shorts;

	*shorts++ = ':';
	for (int i = 0; i < OPTIONS_MAX && program->options[i].name != NULL; i++) {
		const struct option_spec *option = &program->options[i];

		table->longs[i].name = option->name;
		table->longs[i].has_arg = option->argument != NULL ? required_argument : no_argument;
		table->longs[i].val = LONG_ONLY + i;
		if (option->letter == 0)
			continue;
		*shorts++ = option->letter;
		if (option->argument != NULL)
			*shorts++ = ':';
	}
}

static const struct option_spec *
find_option(const struct program *program, int value)
{
	if (value >= LONG_ONLY)
		return &program->options[value - LONG_ONLY];
	for (const struct option_spec *option = program->options; option->name != NULL; option++)
		if (option->letter == value)
			return option;
	return NULL;
}

/* What getopt did not understand. optopt is the letter, or 0 for a long option. */
static void
complain_of_option(const struct program *program, int result, const char *argument)
{
	const struct option_spec *option = find_option(program, optopt);

	if (result == ':' && option != NULL)
		options_complain(program, "--%s needs a value: %s", option->name, option->argument);
	else if (optopt != 0 && option != NULL)
		options_complain(program, "--%s takes no value", option->name);
	else if (optopt != 0 && optopt < LONG_ONLY)
		options_complain(program, "unknown option '-%c'", optopt);
	else
		options_complain(program, "unknown option '%s'", argument);
}

enum options_result
options_parse(const struct program *program, int argc, char **argv, void *values, const char **operand)
{
	struct getopt_table table = {0};
	int value;

	build_table(program, &table);
	opterr = 0;
	*operand = NULL;
	while ((value = getopt_long(argc, argv, table.shorts, table.longs, NULL)) != -1) {
		const struct option_spec *option;
		enum options_result result;

		if (value == '?' || value == ':') {
			complain_of_option(program, value, argv[optind - 1]);
			return OPTIONS_WRONG;
		}
		option = find_option(program, value);
		result = apply(program, option, optarg, (char *)values + option->offset);
		if (result != OPTIONS_RUN)
			return result;
	}
	if (optind < argc && program->operands != NULL)
		*operand = argv[optind++];
	if (optind < argc) {
		options_complain(program, "'%s' is one argument too many", argv[optind]);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}
