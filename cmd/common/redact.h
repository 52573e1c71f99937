/* What may be shown of a text that a person or a server wrote: passwords in it are hidden. For errors and the log. */
#ifndef REDACT_H
#define REDACT_H

#include <stddef.h>

/* How much of a value an error repeats, with the final NUL. */
#define REDACT_SIZE 101

/*
 * Write what may be shown of a text, cut to fit. Hidden are a URL's user name and password (RFC 3986 section 3.2.1),
 * also when the URL is mistyped, and a header's value. Returns `shown`.
 */
const char *redact(const char *text, char *shown, size_t size);

#endif
