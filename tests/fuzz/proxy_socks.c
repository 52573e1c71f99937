/*
 * Fuzz target: what a SOCKS proxy answers. The first byte chooses the proxy, the second one where its answers are
 * split, which must not make a difference; what comes behind them is not to be read.
 */
#include <string.h>

#include "proxy_conversation.h"

#define REPLY_MAX 262 /* with a name of 255 bytes */

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct {
		const char *url;
		size_t answer_max;
	} proxies[] = {
		{"socks4a://user@proxy.example", 8},
		{"socks5h://proxy.example", 2 + REPLY_MAX},
		{"socks5h://user:password@proxy.example", 2 + 2 + REPLY_MAX},
	};
	struct input input = {p, n};
	const size_t which = input_byte(&input) % COUNT(proxies);
	const unsigned split = 1 + input_byte(&input);
	struct failure whole, parts;
	size_t answer_size;

	if (input.n > 2000)
		return 0;
	answer_size = proxy_converse(proxies[which].url, 0, &input, &whole);
	must(proxy_converse(proxies[which].url, split, &input, &parts) == answer_size);
	must(whole.kind == parts.kind && strcmp(whole.reason, parts.reason) == 0);
	must(answer_size <= proxies[which].answer_max);
	return 0;
}
