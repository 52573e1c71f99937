/* Hides passwords in text from users and servers, for errors and the log. */
#ifndef REDACT_H
#define REDACT_H

#include <stddef.h>

/* The longest part of a value that an error quotes, with the final NUL. */
#define REDACT_SIZE 101

/*
 * Write what may be shown of a text to `shown`, cut to fit. A URL's user name and password (RFC 3986 section 3.2.1),
 * even of a mistyped URL, and a header's value are hidden. Returns `shown`.
 */
const char *redact(const char *text, char *shown, size_t size);

#endif
