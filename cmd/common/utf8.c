#include "utf8.h"

#include <stdint.h>

size_t
utf8_size(const char *text)
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
	const unsigned char *bytes = (const unsigned char *)text;

	if (bytes[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (bytes[0] < forms[i].from || bytes[0] > forms[i].to)
			continue;
		if (bytes[1] < forms[i].second_from || bytes[1] > forms[i].second_to)
			return 0;
		for (size_t at = 2; at < forms[i].size; at++)
			if (bytes[at] < 0x80 || bytes[at] > 0xbf)
				return 0;
		return forms[i].size;
	}
	return 0;
}

bool
utf8_is_control(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;

	return bytes[0] < ' ' || bytes[0] == 0x7f || (bytes[0] == 0xc2 && bytes[1] >= 0x80 && bytes[1] <= 0x9f);
}
