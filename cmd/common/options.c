#include "options.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "completion.h"
#include "config.h"
#include "help.h"
#include "log.h"
#include "output.h"
#include "redact.h"
#include "value.h"
#include "version.h"

/* getopt's values for options without a letter begin here. */
#define LONG_ONLY 256
/* And for aliases. */
#define ALIAS (LONG_ONLY + OPTIONS_MAX)

void
options_complain(const struct program *program, const char *format, ...)
{
	va_list args;
	char text[VALUE_WRONG_SIZE + 256];

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_usage("%s: %s; see %s --help", program->name, text, program->name);
}

/* The program's table as getopt_long wants it. */
struct getopt_table {
	struct option longs[OPTIONS_MAX + ALIASES_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 2];
};

static const struct option_spec *
find_name(const struct program *program, const char *name)
{
	for (const struct option_spec *option = program->options; option->name != NULL; option++)
		if (strcmp(option->name, name) == 0)
			return option;
	return NULL;
}

const struct option_spec *
options_find(const struct program *program, const char *name)
{
	const struct option_spec *option = find_name(program, name);

	for (struct option_alias *alias = program->aliases; option == NULL && alias != NULL && alias->name != NULL;
		alias++) {
		if (strcmp(alias->name, name) != 0)
			continue;
		alias->used = true;
		option = find_name(program, alias->option);
	}
	return option;
}

static int
argument_kind(const struct option_spec *option)
{
	if (option->argument != NULL)
		return required_argument;
	return value_is_optional(option) ? optional_argument : no_argument;
}

static void
build_table(const struct program *program, struct getopt_table *table)
{
	char *shorts = table->shorts;
	int i;

	*shorts++ = ':';
	for (i = 0; i < OPTIONS_MAX && program->options[i].name != NULL; i++) {
		const struct option_spec *option = &program->options[i];

		table->longs[i].name = option->name;
		table->longs[i].has_arg = argument_kind(option);
		table->longs[i].val = LONG_ONLY + i;
		if (option->letter == 0)
			continue;
		*shorts++ = option->letter;
		if (option->argument != NULL)
			*shorts++ = ':';
	}
	for (int k = 0; k < ALIASES_MAX && program->aliases != NULL && program->aliases[k].name != NULL; k++, i++) {
		const struct option_spec *option = find_name(program, program->aliases[k].option);

		table->longs[i].name = program->aliases[k].name;
		table->longs[i].has_arg = option != NULL ? argument_kind(option) : no_argument;
		table->longs[i].val = ALIAS + k;
	}
}

static const struct option_spec *
find_option(const struct program *program, const struct option_spec *options, int value)
{
	if (value >= ALIAS)
		return options_find(program, program->aliases[value - ALIAS].name);
	if (value >= LONG_ONLY)
		return &options[value - LONG_ONLY];
	for (const struct option_spec *option = options; option->name != NULL; option++)
		if (option->letter == value)
			return option;
	return NULL;
}

/* What getopt did not understand. optopt is the letter, or 0 for a long option. */
static void
complain_of_option(const struct program *program, int result, const char *argument)
{
	const struct option_spec *option = find_option(program, program->options, optopt);

	if (result == ':' && option != NULL)
		options_complain(program, "--%s needs a value: %s", option->name, option->argument);
	else if (optopt != 0 && option != NULL)
		options_complain(program, "--%s takes no value", option->name);
	else if (optopt != 0 && optopt < LONG_ONLY)
		options_complain(program, "unknown option '-%c'", optopt);
	else /* without its value */
		options_complain(program, "unknown option '%.*s'", (int)strcspn(argument, "="), argument);
}

/* Nobody should take half a text for the whole. */
static enum options_result
finish_output(void)
{
	return output_finish() == OUTPUT_FAILED ? OPTIONS_FAILED : OPTIONS_DONE;
}

/*
 * Look for what has to be known before the configuration file is read: which one, and how to write the errors in it.
 * --help and its like are served here, unless something before them is wrong, which the caller then finds.
 */
static enum options_result
look_ahead(const struct program *program, const struct getopt_table *table, int argc, char **argv, const char **config)
{
	const struct option_spec *const options = program->options;
	bool good = true;
	int value, position;

	optind = 0; /* begin at the beginning */
	while ((value = getopt_long(argc, argv, table->shorts, table->longs, NULL)) != -1) {
		const struct option_spec *option = find_option(program, options, value);

		if (option == NULL) {
			good = false;
		} else if (option->type == OPTION_CONFIG) {
			*config = optarg;
		} else if (option->type == OPTION_LOG_FORMAT && value_choice(option, optarg, &position)) {
			log_set_format((enum log_format)position);
		} else if (good && option->type == OPTION_HELP) {
			help_print(program);
			return finish_output();
		} else if (good && option->type == OPTION_VERSION) {
			version_print(program->name);
			return finish_output();
		} else if (good && option->type == OPTION_COMPLETION && value_choice(option, optarg, &position)) {
			completion_print(program, (enum completion_shell)position);
			return finish_output();
		}
	}
	return OPTIONS_RUN;
}

/*
 * An option stands on the command line: forget what the file said, the first time, for it and for those that share its
 * member.
 */
static void
overrule(const struct program *program, const struct option_spec *option, void *values, bool overruled[OPTIONS_MAX])
{
	if (!value_adds(option) || overruled[option - program->options])
		return;
	value_reset(option, values);
	for (size_t i = 0; i < OPTIONS_MAX && program->options[i].name != NULL; i++)
		if (value_adds(&program->options[i]) && program->options[i].offset == option->offset)
			overruled[i] = true;
}

/* An argument that is not an option, with so many before it. */
static bool
set_operand(const struct program *program, const char *text, size_t before, void *values, bool overruled[OPTIONS_MAX])
{
	const struct option_spec *option = options_find(program, program->operand_option);
	char wrong[VALUE_WRONG_SIZE];

	overrule(program, option, values, overruled);
	if (value_insert(program, option, text, before, values, wrong))
		return true;
	options_complain(program, "%s", wrong);
	return false;
}

static enum options_result
read_arguments(const struct program *program, const struct getopt_table *table, int argc, char **argv, void *values)
{
	const struct option_spec *const options = program->options;
	bool overruled[OPTIONS_MAX] = {false};
	char wrong[VALUE_WRONG_SIZE], shown[REDACT_SIZE];
	int value, operands;

	optind = 0;
	while ((value = getopt_long(argc, argv, table->shorts, table->longs, NULL)) != -1) {
		const struct option_spec *option = find_option(program, options, value);

		if (option == NULL) {
			complain_of_option(program, value, argv[optind - 1]);
			return OPTIONS_WRONG;
		}
		overrule(program, option, values, overruled);
		if (!value_set(program, option, optarg, values, wrong)) {
			options_complain(program, "--%s: %s", option->name, wrong);
			return OPTIONS_WRONG;
		}
	}
	for (operands = 0; optind < argc && operands < program->operand_max; operands++)
		if (!set_operand(program, argv[optind++], (size_t)operands, values, overruled))
			return OPTIONS_WRONG;
	if (optind < argc) {
		options_complain(program, "'%s' is one argument too many", redact(argv[optind], shown, sizeof shown));
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

enum options_result
options_parse(const struct program *program, int argc, char **argv, void *values)
{
	struct getopt_table table = {0};
	const char *config = NULL;
	enum options_result result;

	signal(SIGPIPE, SIG_IGN); /* a reader of --help that leaves early is no failure: see output.h */
	build_table(program, &table);
	opterr = 0;
	result = look_ahead(program, &table, argc, argv, &config);
	if (result == OPTIONS_RUN && config != NULL)
		result = config_read(program, config, values);
	if (result == OPTIONS_RUN)
		result = read_arguments(program, &table, argc, argv, values);
	return result;
}
