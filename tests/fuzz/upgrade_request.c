/* Fuzz target: the request that opens a WebSocket, as a server reads it, and what is answered. */
#include <stdlib.h>
#include <string.h>

#include <wisp/upgrade.h>

#include "fuzz.h"

/* The response has its lines, each ended by CRLF, its body if it has one, and nothing that the request brought along.
 */
static void
check_response(const struct wisp_upgrade_request *request)
{
	char response[WISP_UPGRADE_RESPONSE_MAX];
	const size_t n = wisp_upgrade_respond(request, response);
	size_t lines = 0, head;

	must(n > 0 && n < sizeof response);
	must(memcmp(response, request->http10 && request->status != 101 ? "HTTP/1.0 " : "HTTP/1.1 ", 9) == 0);
	for (size_t i = 0; i < n; i++) {
		must(response[i] == '\r' || response[i] == '\n' || (response[i] >= ' ' && response[i] < 0x7f));
		lines += response[i] == '\n';
	}
	must(lines >= 4 && lines <= 8);
	head = wisp_upgrade_head_size(response, n, 0);
	must(head > 0 && (head == n) == (request->status == 101 || request->status == 204 || request->head_only));
}

/* The head ends where it does, however much of it came before. */
static void
check_pieces(const uint8_t *p, size_t size)
{
	const char *const text = (const char *)p;

	for (size_t seen = 0; seen < size; seen += 1 + size / 64)
		must(wisp_upgrade_head_size(text, size, seen) == size);
	must(wisp_upgrade_head_size(text, size - 1, 0) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	struct wisp_upgrade_request request, part;
	const size_t size = wisp_upgrade_parse((const char *)copy, n, "/wisp/", &request);

	must(size <= n);
	if (size > 0) {
		must(request.status >= 101 && request.status <= 505);
		must((request.error == NULL) == (request.status < 400));
		must(memchr(request.protocol, '\0', sizeof request.protocol) != NULL);
		if (request.status == 101)
			must(strlen(request.key) == WISP_UPGRADE_KEY_SIZE - 1 && !request.head_only && !request.http10);
		check_response(&request);
		if (request.status != 431) {
			check_pieces(copy, size);
			must(wisp_upgrade_parse((const char *)copy, size, "/wisp/", &part) == size);
			must(part.status == request.status && strcmp(part.protocol, request.protocol) == 0);
			must(wisp_upgrade_parse((const char *)copy, size - 1, "/wisp/", &part) == 0);
		}
	}
	free(copy);
	return 0;
}
