/*
 * Fuzz target: the parsers that take bytes from strangers. The first byte of the input chooses one. Besides that none
 * of them reads where it should not, their results must not depend on where the input is split.
 */
#include <stdlib.h>
#include <string.h>

#include <wisp/frame.h>
#include <wisp/handshake.h>
#include <wisp/key.h>
#include <wisp/packet.h>
#include <wisp/socks5.h>
#include <wisp/upgrade.h>

#include "keys.h"
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
			must(request.destination.host_size >= 1 &&
				strlen(request.destination.host) == request.destination.host_size);
	}
}

static void
fuzz_password(const uint8_t *p, size_t n)
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
}

/* A header that was read is the same when it is written. */
static void
fuzz_datagram(const uint8_t *p, size_t n)
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
}

/* ---- keys ---- */

/* Each step moves on, to the end, and does not look beyond it. */
static void
fuzz_keys(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	const char *text = (const char *)copy;
	struct wisp_public_key key;
	enum wisp_key_result result;
	size_t left = n;

	do {
		const size_t before = left;

		result = wisp_public_key_next(&text, &left, &key);
		must(text + left == (const char *)copy + n);
		must(result == WISP_KEY_END ? left == 0 : left < before);
	} while (result != WISP_KEY_END);
	free(copy);
}

/* A good list, changed here and there, and cut off: the input is as for the upgrade. */
static void
fuzz_changed_keys(const uint8_t *p, size_t n)
{
	char text[] = "# alice\n" SSH_A PUBLIC_B "\n" SSH_B PUBLIC_A;

	for (size_t i = 0; i + 2 < n && i < 12; i += 3)
		text[(p[i] * 256u + p[i + 1]) % (sizeof text - 1)] = (char)p[i + 2];
	fuzz_keys((const uint8_t *)text, n % 2 ? sizeof text - 1 : n % sizeof text);
}

/* ---- INFO ---- */

static bool
check_password(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	(void)arg;
	return user_size == 1 && user[0] == 'u' && password_size == 1 && password[0] == 'p';
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	static const struct wisp_public_key key;

	(void)arg;
	return hash[0] == 0 ? &key : NULL;
}

/* Both sides hear it, with and without credentials. */
static void
fuzz_info(const uint8_t *p, size_t n)
{
	static const struct wisp_client_options clients[] = {
		{.udp = true, .confirm = true},
		{.udp = true, .user = "user", .password = "password"},
		{.trusted = true, .user = "user", .password = "password"},
	};
	static const struct wisp_server_options servers[] = {
		{.udp = true, .credit = 1, .motd = "hello"},
		{.credit = 1, .check_password = check_password},
		{.credit = 1, .check_password = check_password, .find_key = find_key},
	};
	uint8_t *const copy = exact_copy(p, n);
	struct wisp_packet packet = {.type = WISP_INFO, .data = copy, .size = n};
	struct wisp_handshake handshake;
	uint8_t sent[WISP_HANDSHAKE_PACKET_MAX];

	for (size_t i = 0; i < COUNT(clients); i++) {
		wisp_handshake_init_client(&handshake, &clients[i]);
		wisp_handshake_receive(&handshake, &packet);
		must(handshake.state == WISP_HANDSHAKE_CREDIT || handshake.state == WISP_HANDSHAKE_FAILED);
		must((handshake.state == WISP_HANDSHAKE_FAILED) == (handshake.error != NULL));
		must(handshake.credentials == WISP_CREDENTIALS_NONE || clients[i].trusted);
		must(wisp_handshake_pending(&handshake) || handshake.error != NULL);
		must((wisp_handshake_send(&handshake, sent) > 0) == (handshake.error == NULL || handshake.reason != 0));
	}
	for (size_t i = 0; i < COUNT(servers); i++) {
		wisp_handshake_init_server(&handshake, &servers[i], 2);
		wisp_handshake_receive(&handshake, &packet);
		must(handshake.state == WISP_HANDSHAKE_DONE || handshake.state == WISP_HANDSHAKE_FAILED);
		must((handshake.state == WISP_HANDSHAKE_FAILED) == (handshake.error != NULL));
		must(servers[i].udp || !handshake.udp);
	}
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
		fuzz_password,
		fuzz_datagram,
		fuzz_keys,
		fuzz_changed_keys,
		fuzz_info,
		fuzz_wire,
	};

	if (n > 0)
		targets[p[0] % COUNT(targets)](p + 1, n - 1);
	return 0;
}
