#include "check.h"

#include <stdarg.h>
#include <stdio.h>

/* A worse word is not made good by what comes after it. */
static void __attribute__((format(printf, 3, 0)))
say(struct verdict *verdict, enum outcome outcome, const char *format, va_list args)
{
	if (verdict->outcome == OUTCOME_FAIL || (verdict->outcome == OUTCOME_WARN && outcome != OUTCOME_FAIL))
		return;
	verdict->outcome = outcome;
	vsnprintf(verdict->came, sizeof verdict->came, format, args);
}

void
verdict_fail(struct verdict *verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(verdict, OUTCOME_FAIL, format, args);
	va_end(args);
}

void
verdict_warn(struct verdict *verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(verdict, OUTCOME_WARN, format, args);
	va_end(args);
}

void
verdict_skip(struct verdict *verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(verdict, OUTCOME_SKIP, format, args);
	va_end(args);
}

void
verdict_note(struct verdict *verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(verdict, OUTCOME_PASS, format, args);
	va_end(args);
}
