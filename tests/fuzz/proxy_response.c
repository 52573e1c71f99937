/*
 * Fuzz target: what an HTTP proxy answers. The first byte chooses where it is split, which must not make a difference;
 * what comes behind its head is not to be read.
 */
#include <string.h>

#include "proxy_conversation.h"
#include "proxy_handshake.h"

#define PROXY "http://user:password@proxy.example:8080"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	const unsigned split = 1 + input_byte(&input);
	struct failure whole, parts;
	size_t head_size;

	if (input.n > 2 * PROXY_ANSWER_MAX)
		return 0; /* it would not fit into the socket */
	head_size = proxy_converse(PROXY, 0, &input, &whole);
	must(proxy_converse(PROXY, split, &input, &parts) == head_size);
	must(whole.kind == parts.kind && strcmp(whole.reason, parts.reason) == 0);
	must(head_size == 0 || input.p[head_size - 1] == '\n');
	return 0;
}
