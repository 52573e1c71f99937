/* Text as JSON has it. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>

/* The most that one byte of text becomes: "\u0000". */
#define JSON_GROWTH 6

/*
 * Write `text` as what stands between the quotes of a JSON string (RFC 8259 section 7), and a final NUL. What is not
 * UTF-8 becomes U+FFFD. `out` has room for JSON_GROWTH times the length of the text, and the NUL. Returns the length.
 */
size_t json_escape(const char *text, char *out);

#endif
