/* The characters of text that may not be UTF-8. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes the character at `text` has, or 0 when it is not UTF-8 (RFC 3629 section 4). */
size_t utf8_size(const char *text);

/* Whether it is a control character: one of C0, DEL, or one of C1, of which terminals take U+009B for an escape too. */
bool utf8_is_control(const char *text);

#endif
