/* Text in UTF-8 that comes from who knows where. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes the character at the start of a terminated text has, or 0 when it is not UTF-8 (RFC 3629 section 4).
 */
size_t utf8_size(const char *text);

/* Whether that character is one that terminals obey: U+0000 to U+001F, U+007F to U+009F. */
bool utf8_is_control(const char *text);

#endif
