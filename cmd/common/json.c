#include "json.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* How many bytes the character at `text` has, or 0 when it is not UTF-8 (RFC 3629 section 4). */
static size_t
character_size(const unsigned char *text)
{
	static const struct {
		uint8_t from, to;               /* the first byte */
		uint8_t second_from, second_to; /* the second; the others are 0x80 to 0xbf */
		size_t size;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (text[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (text[0] < forms[i].from || text[0] > forms[i].to)
			continue;
		if (text[1] < forms[i].second_from || text[1] > forms[i].second_to)
			return 0;
		for (size_t at = 2; at < forms[i].size; at++)
			if (text[at] < 0x80 || text[at] > 0xbf)
				return 0;
		return forms[i].size;
	}
	return 0;
}

size_t
json_escape(const char *text, char *out)
{
	char *const begin = out;

	while (*text != '\0') {
		const unsigned char byte = (unsigned char)*text;
		const size_t size = character_size((const unsigned char *)text);

		if (size == 0) {
			memcpy(out, REPLACEMENT, 3);
			out += 3;
		} else if (byte == '"' || byte == '\\') {
			*out++ = '\\';
			*out++ = *text;
		} else if (byte < ' ' || byte == 0x7f) {
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
