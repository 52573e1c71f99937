#include "help.h"

#include <stdio.h>
#include <string.h>

/* Where the explanations begin, and where lines end. */
#define COLUMN 28
#define WIDTH 100

/* The length of the words that fit into `room`: all of `text`, or up to a space; one word if even that does not fit. */
static size_t
words_that_fit(const char *text, size_t room)
{
	size_t n = room;

	if (strlen(text) <= room)
		return strlen(text);
	while (n > 0 && text[n] != ' ')
		n--;
	return n > 0 ? n : strcspn(text, " ");
}

static void
print_explanation(const char *text)
{
	size_t n = words_that_fit(text, WIDTH - COLUMN);

	printf("%.*s\n", (int)n, text);
	for (text += n; *text == ' '; text += n) {
		text++;
		n = words_that_fit(text, WIDTH - COLUMN);
		printf("%*s%.*s\n", COLUMN, "", (int)n, text);
	}
}

static void
print_option(const struct option_spec *option)
{
	char left[80];
	const int n = snprintf(left, sizeof left, "  %c%c%s --%s%s%s", option->letter != 0 ? '-' : ' ',
		option->letter != 0 ? option->letter : ' ', option->letter != 0 ? "," : " ", option->name,
		option->argument != NULL ? " " : "", option->argument != NULL ? option->argument : "");

	/* At least two spaces between the columns, or a line of its own. */
	printf("%s%s%*s", left, n > COLUMN - 2 ? "\n" : "", n > COLUMN - 2 ? COLUMN : COLUMN - n, "");
	print_explanation(option->help);
}

void
help_print(const struct program *program)
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
