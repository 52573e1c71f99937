/* Fuzz target: foreign text in a line of the log, plain and as JSON: nothing in it ends the line. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "json.h"
#include "log.h"
#include "utf8.h"

/* All of it is UTF-8, and nothing a control character. */
static void
check_printable(const char *text)
{
	size_t size;

	for (; *text != '\0'; text += size) {
		size = utf8_size(text);
		must(size > 0 && !utf8_is_control(text));
	}
}

/* Nothing ends the string, and what is escaped is so as RFC 8259 has it. */
static void
check_string(const char *text)
{
	check_printable(text);
	for (; *text != '\0'; text++) {
		must(*text != '"');
		if (*text != '\\')
			continue;
		text++;
		must(*text == '"' || *text == '\\' || (*text == 'u' && strspn(text + 1, "0123456789abcdef") >= 4));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	char *const text = input_text(&input);
	const size_t size = strlen(text);
	char *const json = malloc(JSON_GROWTH * size + 1);

	must(json != NULL);
	must(json_escape(text, json) == strlen(json));
	check_string(json);
	log_make_printable(text);
	must(strlen(text) == size);
	check_printable(text);
	free(json);
	free(text);
	return 0;
}
