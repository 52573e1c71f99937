#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

void
failure_set(struct failure *failure, enum failure_kind kind, const char *format, ...)
{
	va_list args;

	if (failure->kind != FAILURE_NONE)
		return;
	failure->kind = kind;
	va_start(args, format);
	vsnprintf(failure->reason, sizeof failure->reason, format, args);
	va_end(args);
}

void
failure_merge(struct failure *worst, const struct failure *failure)
{
	if (failure->kind > worst->kind || (failure->kind == worst->kind && failure->answered >= worst->answered))
		*worst = *failure;
}

void
failure_clear(struct failure *failure)
{
	*failure = (struct failure){.kind = FAILURE_NONE};
}
