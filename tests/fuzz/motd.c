/* Fuzz target: a server's message of the day. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "introduction.h"

static unsigned lines;

void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

void
__wrap_log_info(const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	must(n > 0 && n < 300 && strchr(text, '\n') == NULL);
	lines++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);

	lines = 0;
	introduction_log_motd(copy, n);
	must(lines <= 20 && (n == 0) == (lines == 0));
	free(copy);
	return 0;
}
