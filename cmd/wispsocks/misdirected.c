#include "misdirected.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

#define SOCKS4_VERSION 4
#define TLS_HANDSHAKE 22
#define PAGE_SIZE_MAX (MISDIRECTED_ANSWER_SIZE - 256)

/* Methods are in capitals. */
static bool
is_http(uint8_t first)
{
	return first >= 'A' && first <= 'Z';
}

void
misdirected_log(uint8_t first, const char *address)
{
	if (is_http(first))
		log_info("a program speaks HTTP to %s, a SOCKS5 port: set it to SOCKS5, not to an HTTP proxy", address);
	else if (first == TLS_HANDSHAKE)
		log_info("a program speaks TLS to %s, a SOCKS5 port: set it to SOCKS5, not to an HTTPS proxy", address);
	else if (first == SOCKS4_VERSION)
		log_info("a program speaks SOCKS4 to %s: set it to SOCKS5", address);
	else
		log_info("a program at %s does not speak SOCKS5 (its first byte is 0x%02x): set it to SOCKS5", address,
			first);
}

size_t
misdirected_answer(uint8_t first, const char *address, char answer[MISDIRECTED_ANSWER_SIZE])
{
	char page[PAGE_SIZE_MAX];
	int n;

	if (!is_http(first))
		return 0;
	snprintf(page, sizeof page,
		"This is a SOCKS5 port of wispsocks, not an HTTP proxy and not a web server.\n"
		"\n"
		"Set the program to SOCKS5 at %s, and let the proxy look names up:\n"
		"  a browser: \"SOCKS host\", version 5, and \"proxy DNS when using SOCKS v5\"\n"
		"  curl:      --socks5-hostname %s\n"
		"  others:    all_proxy=socks5h://%s\n",
		address, address, address);
	n = snprintf(answer, MISDIRECTED_ANSWER_SIZE,
		"HTTP/1.1 400 Bad Request\r\n"
		"Server: wispsocks\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Length: %zu\r\n"
		"Connection: close\r\n"
		"\r\n"
		"%s",
		strlen(page), page);
	return n > 0 && n < MISDIRECTED_ANSWER_SIZE ? (size_t)n : 0;
}
