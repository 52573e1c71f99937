/*
 * Fuzz target: the parsers that take bytes from strangers. The first byte of the input chooses one. Besides that none
 * of them reads where it should not, their results must not depend on where the input is split.
 */
#include <stdlib.h>
#include <string.h>

#include <wisp/frame.h>
#include <wisp/handshake.h>
#include <wisp/packet.h>
#include <wisp/socks5.h>
#include <wisp/upgrade.h>

#include "support.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* ---- upgrade ---- */

/* The response has its lines, each ended by CRLF, and nothing in them that the request brought along. */
static void
check_response(const struct wisp_upgrade_request *request)
{
	char response[WISP_UPGRADE_RESPONSE_MAX];
	const size_t n = wisp_upgrade_respond(request, response);
	size_t lines = 0;

	must(n > 0 && n < sizeof response);
	must(memcmp(response, "HTTP/1.1 ", 9) == 0);
	for (size_t i = 0; i < n; i++) {
		must(response[i] == '\r' || response[i] == '\n' || (response[i] >= ' ' && response[i] < 0x7f));
		lines += response[i] == '\n';
	}
	must(lines >= 5 && lines <= 8);
}

static void
fuzz_upgrade(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	struct wisp_upgrade_request request, part;
	const size_t size = wisp_upgrade_parse((const char *)copy, n, "/wisp/", &request);

	must(size <= n);
	if (size > 0) {
		must(request.status >= 101 && request.status <= 431);
		must(memchr(request.protocol, '\0', sizeof request.protocol) != NULL);
		if (request.status == 101)
			must(strlen(request.key) == WISP_UPGRADE_KEY_SIZE - 1);
		check_response(&request);
		if (request.status != 431) {
			must(wisp_upgrade_parse((const char *)copy, size, "/wisp/", &part) == size);
			must(part.status == request.status && strcmp(part.protocol, request.protocol) == 0);
			must(wisp_upgrade_parse((const char *)copy, size - 1, "/wisp/", &part) == 0);
		}
	}
	free(copy);
}

/* A good request, changed here and there: the input is pairs of a place and a byte that replaces what is there. */
static void
fuzz_changed_upgrade(const uint8_t *p, size_t n)
{
	char head[] = "GET /wisp/?q HTTP/1.1\r\nHost: wisp.example\r\nUpgrade: h2c, websocket\r\n"
		      "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wisp-v2, other\r\n\r\n";

	for (size_t i = 0; i + 1 < n && i < 16; i += 2)
		head[p[i] % (sizeof head - 1)] = (char)p[i + 1];
	fuzz_upgrade((const uint8_t *)head, sizeof head - 1);
}

/* ---- SOCKS5 ---- */

static void
fuzz_greeting(const uint8_t *p, size_t n)
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
}

static void
fuzz_request(const uint8_t *p, size_t n)
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
			must(request.host_size >= 1 && strlen(request.host) == request.host_size);
	}
}

/* ---- INFO ---- */

static void
fuzz_info(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	struct wisp_packet packet = {.type = WISP_INFO, .data = copy, .size = n};
	struct wisp_handshake client, server;
	uint8_t sent[WISP_HANDSHAKE_PACKET_MAX];

	wisp_handshake_init_client(&client, WISP_VERSION_AUTO);
	wisp_handshake_receive(&client, &packet);
	must(client.state == WISP_HANDSHAKE_CREDIT || client.state == WISP_HANDSHAKE_FAILED);
	must((client.state == WISP_HANDSHAKE_FAILED) == (client.error != NULL));
	must((wisp_handshake_send(&client, sent) > 0) == (client.error == NULL));
	wisp_handshake_init_server(&server, 2, 1);
	wisp_handshake_receive(&server, &packet);
	must((server.state == WISP_HANDSHAKE_DONE) == (client.error == NULL));
	free(copy);
}

/* ---- frames and the packets in them ---- */

static void
feed_wire(void *arg, uint8_t *p, size_t n, bool last)
{
	struct wire *const wire = arg;

	(void)last;
	if (!wire->failed)
		wire_take(wire, p, n);
}

/* The first bytes choose the role and the split. */
static void
fuzz_wire(const uint8_t *p, size_t n)
{
	struct wire whole, split;

	if (n < 2)
		return;
	wire_init(&whole, p[0] % 2);
	wire_init(&split, p[0] % 2);
	feed_split(0, p + 2, n - 2, feed_wire, &whole);
	feed_split(1 + p[1], p + 2, n - 2, feed_wire, &split);
	must(strcmp(buffer_text(&whole.log), buffer_text(&split.log)) == 0);
	wire_free(&whole);
	wire_free(&split);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static void (*const targets[])(const uint8_t *p, size_t n) = {
		fuzz_upgrade,
		fuzz_changed_upgrade,
		fuzz_greeting,
		fuzz_request,
		fuzz_info,
		fuzz_wire,
	};

	if (n > 0)
		targets[p[0] % COUNT(targets)](p + 1, n - 1);
	return 0;
}
