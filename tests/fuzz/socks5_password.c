/* Fuzz target: the user name and password of a SOCKS5 client, in parts of every size. */
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
		struct wisp_socks5_password password;
		size_t need;
		const enum wisp_socks5_result result = wisp_socks5_password_decode(copy, part, &need, &password);

		must(result == WISP_SOCKS5_INVALID || (result == WISP_SOCKS5_MORE) == (part < need));
		must(need >= needed && need <= WISP_SOCKS5_MESSAGE_MAX);
		needed = need;
		if (result == WISP_SOCKS5_OK) {
			must(password.user + password.user_size + 1 == password.password);
			must(password.password + password.password_size == (const char *)copy + need);
		}
		free(copy);
	}
	return 0;
}
