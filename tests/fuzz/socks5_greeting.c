/* Fuzz target: the greeting of a SOCKS5 client, in parts of every size. */
#include <stdlib.h>
#include <string.h>

#include <wisp/socks5.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	for (size_t part = 0; part <= n && part <= WISP_SOCKS5_MESSAGE_MAX + 5; part++) {
		uint8_t *const copy = exact_copy(p, part);
		struct wisp_socks5_greeting greeting;
		size_t need;
		const enum wisp_socks5_result result = wisp_socks5_greeting_decode(copy, part, &need, &greeting);

		must(result == WISP_SOCKS5_INVALID || (result == WISP_SOCKS5_MORE) == (part < need));
		if (result == WISP_SOCKS5_OK)
			must(greeting.methods + greeting.method_count == copy + need);
		free(copy);
	}
	return 0;
}
