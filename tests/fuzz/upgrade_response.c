/*
 * Fuzz target: a server's answer to the upgrade, as the client judges it in pieces, where it redirects to, and the
 * cookies that it sets. The first byte says whether the subprotocol was offered, the second where the answer is cut in
 * two; the rest is the answer.
 */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "cookies.h"
#include "fuzz.h"
#include "url.h"

/* Section 1.3 of RFC 6455 has it, with its answer. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static void
check_redirect(const struct answer *answer)
{
	struct url base, url;
	struct cookies cookies = {.count = 0};
	char text[COOKIES_TEXT_SIZE];

	must(answer->status >= 301 && answer->status <= 308);
	must(url_parse("wss://wisp.example/wisp/", &base) == NULL);
	must(url_resolve(&base, answer->location, &url) != NULL || url.tls);
	cookies_take(&cookies, &base, answer->head);
	must(cookies.count <= COOKIES_MAX);
	must(cookies_write(&cookies, &base, text) == strlen(text) && strpbrk(text, "\r\n") == NULL);
}

static void
check(const struct answer *answer, const struct failure *failure, bool offered)
{
	must((answer->kind == ANSWER_NO) == (failure->kind != FAILURE_NONE));
	must(answer->interim_count <= ANSWER_INTERIM_MAX + 1);
	if (answer->kind == ANSWER_OPENS)
		must(answer->status == 101 && (offered || !answer->chose_protocol));
	if (answer->kind == ANSWER_REDIRECTS)
		check_redirect(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	const bool offered = input_byte(&input) % 2;
	const size_t first = input_byte(&input);
	static struct answer whole, parts;
	struct failure failure = {.kind = FAILURE_NONE}, failure_of_parts = {.kind = FAILURE_NONE};
	uint8_t *const copy = exact_copy(input.p, input.n);
	const char *const text = (const char *)copy;
	size_t taken, taken_of_parts = 0;

	whole = parts = (struct answer){.kind = ANSWER_INCOMPLETE};
	taken = answer_take(&whole, text, input.n, KEY, offered, &failure);
	must(taken <= input.n);
	check(&whole, &failure, offered);
	if (first < input.n)
		taken_of_parts = answer_take(&parts, text, first, KEY, offered, &failure_of_parts);
	if (parts.kind == ANSWER_INCOMPLETE)
		taken_of_parts += answer_take(
			&parts, text + taken_of_parts, input.n - taken_of_parts, KEY, offered, &failure_of_parts);
	must(parts.kind == whole.kind && parts.status == whole.status && taken_of_parts == taken);
	free(copy);
	return 0;
}
