/* Fuzz target: the header of a SOCKS5 client's datagram, in parts of every size. */
#include <stdlib.h>
#include <string.h>

#include <wisp/socks5.h>

#include "fuzz.h"

/* A header that was read is the same when it is written. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	for (size_t part = 0; part <= n && part <= WISP_SOCKS5_DATAGRAM_HEADER_MAX + 5; part++) {
		uint8_t *const copy = exact_copy(p, part);
		struct wisp_socks5_datagram datagram;
		uint8_t header[WISP_SOCKS5_DATAGRAM_HEADER_MAX];

		if (wisp_socks5_datagram_decode(copy, part, &datagram)) {
			must(datagram.header_size <= part && datagram.fragment == p[2]);
			must(strlen(datagram.destination.host) == datagram.destination.host_size);
			must(datagram.destination.host_size >= 1);
			must(wisp_socks5_datagram_encode(header, datagram.address, datagram.address_size) ==
				datagram.header_size);
			must(memcmp(header + 3, p + 3, datagram.address_size) == 0);
		}
		free(copy);
	}
	return 0;
}
