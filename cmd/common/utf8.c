#include "utf8.h"

#include <stdint.h>

size_t
utf8_size(const char *p)
{
	const unsigned char *text = (const unsigned char *)p;
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

bool
utf8_is_control(const char *p)
{
	const unsigned char *text = (const unsigned char *)p;

	return text[0] < ' ' || text[0] == 0x7f || (text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0);
}
