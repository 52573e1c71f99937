/* Fuzz target: what SOCKS servers answer. The first byte chooses the answer; it is read in parts of every size. */
#include <stdlib.h>
#include <string.h>

#include <wisp/socks4.h>
#include <wisp/socks5.h>

#include "fuzz.h"

static enum wisp_socks5_result
read_socks4(const uint8_t *p, size_t n, size_t *need)
{
	static const enum wisp_socks5_result same[] = {
		[WISP_SOCKS4_MORE] = WISP_SOCKS5_MORE,
		[WISP_SOCKS4_OK] = WISP_SOCKS5_OK,
		[WISP_SOCKS4_INVALID] = WISP_SOCKS5_INVALID,
	};
	uint8_t reply;

	*need = WISP_SOCKS4_REPLY_SIZE;
	return same[wisp_socks4_reply_decode(p, n, &reply)];
}

static enum wisp_socks5_result
read_answer(unsigned kind, const uint8_t *p, size_t n, size_t *need)
{
	enum wisp_socks5_result result;
	struct wisp_socks5_answer answer;
	uint8_t method;
	bool good;

	if (kind == 0)
		return read_socks4(p, n, need);
	if (kind == 1)
		return wisp_socks5_method_reply_decode(p, n, need, &method);
	if (kind == 2)
		return wisp_socks5_password_reply_decode(p, n, need, &good);
	result = wisp_socks5_reply_decode(p, n, need, &answer);
	if (result == WISP_SOCKS5_OK)
		must(strlen(answer.bound.host) == answer.bound.host_size);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	const unsigned kind = input_byte(&input) % 4;
	size_t needed = 0;

	for (size_t part = 0; part <= input.n && part <= WISP_SOCKS5_MESSAGE_MAX + 5; part++) {
		uint8_t *const copy = exact_copy(input.p, part);
		size_t need;
		const enum wisp_socks5_result result = read_answer(kind, copy, part, &need);

		free(copy);
		if (result == WISP_SOCKS5_INVALID)
			break;
		/* What is needed only ever grows, never past what a message can have. */
		must(need >= needed && need <= WISP_SOCKS5_MESSAGE_MAX);
		must((result == WISP_SOCKS5_MORE) == (part < need));
		needed = need;
	}
	return 0;
}
