#include "completion.h"

#include <stdio.h>
#include <string.h>

#include "value.h"

static bool
takes_file(const struct option_spec *option)
{
	return option->argument != NULL && strcmp(option->argument, "FILE") == 0;
}

/* Print a text that stands between quotes of the shell, with `escape` in front of each of `special`. */
static void
print_escaped(const char *text, const char *special, const char *escape)
{
	for (; *text != '\0'; text++) {
		if (strchr(special, *text) != NULL)
			fputs(escape, stdout);
		putchar(*text);
	}
}

/* The choices, with a space between them. */
static void
print_choices(const struct option_spec *option)
{
	for (const char *p = option->choices; *p != '\0'; p++)
		putchar(*p == '|' ? ' ' : *p);
}

/* ---- bash ---- */

/* Print "-l | --listen | ..." of the options that `which` picks, as a pattern of bash's case; nothing for none. */
static bool
print_bash_pattern(const struct program *program, bool (*which)(const struct option_spec *option))
{
	bool any = false;

	for (const struct option_spec *option = program->options; option->name != NULL; option++) {
		if (!which(option))
			continue;
		fputs(any ? " | " : "\t", stdout);
		if (option->letter != 0)
			printf("-%c | ", option->letter);
		printf("--%s", option->name);
		any = true;
	}
	if (any)
		puts(")");
	return any;
}

static bool
takes_other_text(const struct option_spec *option)
{
	return option->argument != NULL && option->choices == NULL && !takes_file(option);
}

/* The words of a line are split at "=" too: --name=value is three of them. */
static void
print_bash(const struct program *program)
{
	printf("# bash completion for %s\n\n_%s()\n{\n", program->name, program->name);
	puts("\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	     "\n"
	     "\tCOMPREPLY=()\n"
	     "\tif [[ $cur == = ]]; then\n"
	     "\t\tcur=\n"
	     "\telif [[ $prev == = && $COMP_CWORD -gt 1 ]]; then\n"
	     "\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n"
	     "\tfi\n"
	     "\tcase $prev in");
	if (print_bash_pattern(program, takes_file))
		puts("\t\tcompopt -o filenames 2>/dev/null\n"
		     "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
		     "\t\treturn\n"
		     "\t\t;;");
	if (print_bash_pattern(program, takes_other_text))
		puts("\t\treturn\n"
		     "\t\t;;");
	for (const struct option_spec *option = program->options; option->name != NULL; option++) {
		if (option->choices == NULL)
			continue;
		printf("\t--%s)\n\t\tmapfile -t COMPREPLY < <(compgen -W '", option->name);
		print_choices(option);
		puts("' -- \"$cur\")\n"
		     "\t\treturn\n"
		     "\t\t;;");
	}
	puts("\tesac\n"
	     "\tif [[ $cur == -* ]]; then\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -W '");
	for (const struct option_spec *option = program->options; option->name != NULL; option++)
		printf("\t\t\t--%s\n", option->name);
	printf("\t\t' -- \"$cur\")\n"
	       "\tfi\n"
	       "}\n"
	       "complete -F _%s %s\n",
		program->name, program->name);
}

/* ---- zsh ---- */

/* "_arguments" takes brackets and colons for its own, and the whole stands in single quotes. */
static void
print_zsh_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *text) != NULL)
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

/* One form of an option, "--name" or "-n", and what may follow it. */
static void
print_zsh_spec(const struct option_spec *option, bool is_long)
{
	fputs(" \\\n\t\t'", stdout);
	if (value_adds(option))
		putchar('*');
	else if (option->letter != 0)
		printf("(-%c --%s)", option->letter, option->name);
	if (is_long)
		printf("--%s%s[", option->name, option->argument != NULL ? "=" : "");
	else
		printf("-%c%s[", option->letter, option->argument != NULL ? "+" : "");
	print_zsh_text(option->help);
	putchar(']');
	if (option->argument != NULL) {
		putchar(':');
		print_zsh_text(option->argument);
		putchar(':');
		if (option->choices != NULL) {
			putchar('(');
			print_choices(option);
			putchar(')');
		} else {
			fputs(takes_file(option) ? "_files" : " ", stdout);
		}
	}
	putchar('\'');
}

/* The function works both from a folder of $fpath, and when the script is sourced. */
static void
print_zsh(const struct program *program)
{
	printf("#compdef %s\n\n_%s()\n{\n\t_arguments -s -S", program->name, program->name);
	for (const struct option_spec *option = program->options; option->name != NULL; option++) {
		if (option->letter != 0)
			print_zsh_spec(option, false);
		print_zsh_spec(option, true);
	}
	if (program->operands != NULL)
		printf(" \\\n\t\t'%s:URL:_nothing'", program->operand_max > 1 ? "*" : ":");
	printf("\n}\n\nif [[ ${funcstack[1]} == _%s ]]; then\n\t_%s \"$@\"\nelse\n\tcompdef _%s %s\nfi\n",
		program->name, program->name, program->name, program->name);
}

/* ---- fish ---- */

static void
print_fish(const struct program *program)
{
	printf("# fish completion for %s\n\ncomplete -c %s -f\n", program->name, program->name);
	for (const struct option_spec *option = program->options; option->name != NULL; option++) {
		printf("complete -c %s", program->name);
		if (option->letter != 0)
			printf(" -s %c", option->letter);
		printf(" -l %s", option->name);
		if (option->argument != NULL)
			fputs(takes_file(option) ? " -r -F" : " -x", stdout);
		if (option->choices != NULL) {
			fputs(" -a '", stdout);
			print_choices(option);
			putchar('\'');
		}
		fputs(" -d '", stdout);
		print_escaped(option->help, "\\'", "\\");
		puts("'");
	}
}

void
completion_print(const struct program *program, enum completion_shell shell)
{
	switch (shell) {
	case COMPLETION_BASH:
		print_bash(program);
		break;
	case COMPLETION_ZSH:
		print_zsh(program);
		break;
	case COMPLETION_FISH:
		print_fish(program);
		break;
	}
}
