#include "complaints.h"

#include <stdarg.h>
#include <stdio.h>

#include "fuzz.h"

unsigned complaints;

void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* All of it is made, so that a sanitizer sees what it is made of. */
static void
take_complaint(const char *format, va_list args)
{
	char text[4096];

	must(vsnprintf(text, sizeof text, format, args) > 0);
	complaints++;
}

void
__wrap_log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	take_complaint(format, args);
	va_end(args);
}

void
__wrap_log_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	take_complaint(format, args);
	va_end(args);
}
