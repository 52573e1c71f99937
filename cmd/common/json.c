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
		const unsigned char byte = (unsigned char)*text;
		const size_t size = utf8_size(text);

		if (size == 0) {
			memcpy(out, REPLACEMENT, 3);
			out += 3;
		} else if (byte == '"' || byte == '\\') {
			*out++ = '\\';
			*out++ = *text;
		} else if (size == 1 && utf8_is_control(text)) {
			out += sprintf(out, "\\u%04x", byte);
		} else {
			memcpy(out, text, size);
			out += size;
		}
		text += size > 0 ? size : 1;
	}
	*out = '\0';
	return (size_t)(out - begin);
}
