/* Fuzz target: the request of a SOCKS5 client, in parts of every size. */
#include <stdlib.h>
#include <string.h>

#include <wisp/socks5.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t needed = 0;

	for (size_t part = 0; part <= n && part <= WISP_SOCKS5_MESSAGE_MAX + 5; part++) {
		uint8_t *const copy = exact_copy(p, part);
		struct wisp_socks5_request request;
		size_t need;
		const enum wisp_socks5_result result = wisp_socks5_request_decode(copy, part, &need, &request);

		free(copy);
		if (result == WISP_SOCKS5_INVALID || result == WISP_SOCKS5_BAD_ADDRESS)
			break;
		/* What is needed only ever grows, never past what a message can have. */
		must(need >= needed && need <= WISP_SOCKS5_MESSAGE_MAX);
		must((result == WISP_SOCKS5_MORE) == (part < need));
		needed = need;
		if (result == WISP_SOCKS5_OK)
			must(request.destination.host_size >= 1 &&
				strlen(request.destination.host) == request.destination.host_size);
	}
	return 0;
}
