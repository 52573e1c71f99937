#include "json.h"

#include <stdio.h>
#include <string.h>

#include "utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

size_t
json_escape(const char *text, char *out)
{
	char *const begin = out;

	while (*text != '\0') {
		const size_t size = utf8_size(text);

		if (size == 0) {
			memcpy(out, REPLACEMENT, 3);
			out += 3;
		} else if (*text == '"' || *text == '\\') {
			*out++ = '\\';
			*out++ = *text;
		} else if (utf8_is_control(text)) {
			out += sprintf(out, "\\u%04x", (unsigned char)text[size - 1]);
		} else {
			memcpy(out, text, size);
			out += size;
		}
		text += size > 0 ? size : 1;
	}
	*out = '\0';
	return (size_t)(out - begin);
}
