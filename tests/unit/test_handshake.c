/* The beginning of a connection: what each side says to what it hears, and what it makes of INFO's extensions. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <wisp/handshake.h>

#include "wire.h"

static const char *const state_names[] = {
	[WISP_HANDSHAKE_FIRST] = "first",
	[WISP_HANDSHAKE_INFO] = "info",
	[WISP_HANDSHAKE_CREDIT] = "credit",
	[WISP_HANDSHAKE_DONE] = "done",
	[WISP_HANDSHAKE_FAILED] = "failed",
};

static const struct wisp_client_options client_options[] = {
	[WISP_VERSION_AUTO] = {.versions = WISP_VERSION_AUTO, .udp = true, .confirm = true, .trusted = true},
	[WISP_VERSION_1] = {.versions = WISP_VERSION_1, .udp = true, .confirm = true, .trusted = true},
	[WISP_VERSION_2] = {.versions = WISP_VERSION_2, .udp = true, .confirm = true, .trusted = true},
};
static const struct wisp_server_options server_options = {.credit = 77, .udp = true};

/* Let a side read a packet. */
static void
receive(struct wisp_handshake *handshake, const uint8_t *p, size_t n)
{
	static struct wisp_packet_decoder decoder;
	struct wisp_packet packet;
	uint8_t message[512];

	assert_true(n <= sizeof message);
	memcpy(message, p, n);
	wisp_packet_decoder_init(&decoder);
	assert_int_equal(wisp_packet_decode(&decoder, message, n, true, &packet), WISP_PACKET_FOUND);
	wisp_handshake_receive(handshake, &packet);
}

/* Let a side say all that it has to, and the other hear it, if there is one. Returns how many packets these were. */
static int
say(struct wisp_handshake *from, struct wisp_handshake *to, struct buffer *log)
{
	static struct wisp_packet_decoder decoder;
	uint8_t p[WISP_HANDSHAKE_PACKET_MAX];
	struct wisp_packet packet;
	int count = 0;
	size_t n;

	while ((n = wisp_handshake_send(from, p)) > 0) {
		assert_true(n <= sizeof p);
		wisp_packet_decoder_init(&decoder);
		assert_int_equal(wisp_packet_decode(&decoder, p, n, true, &packet), WISP_PACKET_FOUND);
		wire_log_packet(log, &packet);
		if (to != NULL)
			wisp_handshake_receive(to, &packet);
		count++;
	}
	return count;
}

/* ---- both sides ---- */

#define INFO "INFO 0 (\\x02\\x00)\n"
#define FULL_INFO "INFO 0 (\\x02\\x00\\x01\\x00\\x00\\x00\\x00\\x05\\x00\\x00\\x00\\x00)\n"

static void
versions_are_agreed_on(void **state)
{
	static const struct {
		enum wisp_versions client;
		uint8_t server;
		const char *said;
		const char *client_state;
		unsigned version;
		const char *error;
	} cases[] = {
		{WISP_VERSION_1, 1, "CONTINUE 0 77\n", "done", 1, NULL},
		{WISP_VERSION_AUTO, 1, "CONTINUE 0 77\n", "done", 1, NULL},
		{WISP_VERSION_AUTO, 2, FULL_INFO FULL_INFO "CONTINUE 0 77\n", "done", 2, NULL},
		{WISP_VERSION_2, 2, FULL_INFO FULL_INFO "CONTINUE 0 77\n", "done", 2, NULL},
		{WISP_VERSION_2, 1, "CONTINUE 0 77\n", "failed", 0, "the server speaks only Wisp v1"},
		{WISP_VERSION_1, 2, FULL_INFO, "failed", 0, "the server speaks Wisp v2, and was asked for v1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wisp_handshake client, server;
		struct buffer log = {0};

		wisp_handshake_init_client(&client, &client_options[cases[i].client]);
		wisp_handshake_init_server(&server, &server_options, cases[i].server);
		assert_int_equal(say(&client, &server, &log), 0); /* the client waits */
		while (say(&server, &client, &log) > 0)
			say(&client, &server, &log);
		assert_string_equal(buffer_text(&log), cases[i].said);
		assert_string_equal(state_names[client.state], cases[i].client_state);
		if (cases[i].error != NULL) {
			assert_string_equal(client.error, cases[i].error);
			assert_int_equal(client.reason, 0);
			assert_int_equal(client.fault, WISP_FAULT_VERSION);
		} else {
			assert_int_equal(server.state, WISP_HANDSHAKE_DONE);
			assert_int_equal(server.version, cases[i].version);
			assert_int_equal(client.version, cases[i].version);
			assert_int_equal(client.credit, 77);
			/* UDP has always been there; what is confirmed is new in v2. */
			assert_true(client.udp && server.udp);
			assert_int_equal(client.confirmation, cases[i].version == 2);
			assert_int_equal(server.confirmation, cases[i].version == 2);
		}
		buffer_free(&log);
	}
}

/* ---- one side, and what it hears ---- */

#define FROM_CLIENT (-1)
#define NO_PLACE "a packet came that has no place in the handshake"
#define TOO_EARLY "a stream's packet came before the end of the handshake"
/* The same of a server that begins so. */
#define NOT_WISP "the server begins with neither INFO nor CONTINUE"
#define NO_HANDSHAKE "the server begins with a stream's packet"

/* What a side hears as its first packet, and as its second if there is one. */
struct hearing {
	int versions; /* of the client that hears it; FROM_CLIENT: it is a v2 server */
	const uint8_t *first;
	size_t first_n;
	const uint8_t *second;
	size_t second_n;
	const char *state;
	const char *error;
	uint8_t reason;
};

#define V2_INFO BYTES("\x05\x00\x00\x00\x00\x02\x00")
#define NOTHING NULL, 0

static const struct hearing hearings[] = {
	/* Clients. */
	{WISP_VERSION_AUTO, V2_INFO, NOTHING, "credit", NULL, 0},
	{WISP_VERSION_AUTO, V2_INFO, BYTES("\x03\x00\x00\x00\x00\x01\x00\x00\x00"), "done", NULL, 0},
	{WISP_VERSION_2, BYTES("\x05\x00\x00\x00\x00\x03\x07"), BYTES("\x03\x00\x00\x00\x00\x01\x00\x00\x00"), "done",
		NULL, 0},
	{WISP_VERSION_AUTO, V2_INFO, V2_INFO, "failed", NO_PLACE, 0},
	{WISP_VERSION_AUTO, V2_INFO, BYTES("\x04\x00\x00\x00\x00\xc0"), "failed",
		"the other side refused the connection", WISP_REASON_BAD_PASSWORD},
	{WISP_VERSION_1, BYTES("\x04\x00\x00\x00\x00\x48"), NOTHING, "failed", "the other side refused the connection",
		WISP_REASON_BLOCKED},
	{WISP_VERSION_AUTO, V2_INFO, BYTES("\x04\x00\x00\x00\x00"), "failed", "the other side refused the connection",
		WISP_REASON_UNKNOWN},
	{WISP_VERSION_AUTO, BYTES("\x02\x00\x00\x00\x00x"), NOTHING, "failed", NOT_WISP, 0},
	{WISP_VERSION_AUTO, BYTES("\x01\x00\x00\x00\x00\x01\x50\x00x"), NOTHING, "failed", NOT_WISP, 0},
	{WISP_VERSION_AUTO, V2_INFO, BYTES("\x02\x00\x00\x00\x00x"), "failed", NO_PLACE, 0},
	{WISP_VERSION_AUTO, BYTES("\x02\x01\x00\x00\x00x"), NOTHING, "failed", NO_HANDSHAKE, 0},
	{WISP_VERSION_AUTO, BYTES("\x03\x01\x00\x00\x00\x01\x00\x00\x00"), NOTHING, "failed", NO_HANDSHAKE, 0},
	{WISP_VERSION_AUTO, BYTES("\x04\x01\x00\x00\x00\x01"), NOTHING, "failed", NO_HANDSHAKE, 0},
	{WISP_VERSION_AUTO, BYTES("\x05\x01\x00\x00\x00\x02\x00"), NOTHING, "failed", NO_HANDSHAKE, 0},
	{WISP_VERSION_AUTO, BYTES("\x05\x00\x00\x00\x00"), NOTHING, "failed", "an INFO packet is too short", 0},
	{WISP_VERSION_AUTO, BYTES("\x05\x00\x00\x00\x00\x02"), NOTHING, "failed", "an INFO packet is too short", 0},
	{WISP_VERSION_AUTO, BYTES("\x05\x00\x00\x00\x00\x01\x02"), NOTHING, "failed",
		"an INFO packet names a version below 2", 0},
	{WISP_VERSION_2, BYTES("\x05\x00\x00\x00\x00\x02\x00\x01\x00\x00\x00"), NOTHING, "failed",
		"an INFO packet has an extension that runs over its end", 0},
	/* Servers. */
	{FROM_CLIENT, V2_INFO, NOTHING, "done", NULL, 0},
	{FROM_CLIENT, BYTES("\x05\x00\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00"), NOTHING, "done", NULL, 0},
	{FROM_CLIENT, BYTES("\x04\x00\x00\x00\x00\x04"), NOTHING, "failed", "the other side refused the connection",
		WISP_REASON_INCOMPATIBLE},
	{FROM_CLIENT, BYTES("\x03\x00\x00\x00\x00\x01\x00\x00\x00"), NOTHING, "failed", NO_PLACE, 0},
	{FROM_CLIENT, BYTES("\x02\x00\x00\x00\x00"), NOTHING, "failed", NO_PLACE, 0},
	{FROM_CLIENT, BYTES("\x01\x01\x00\x00\x00\x01\x50\x00x"), NOTHING, "failed", TOO_EARLY, 0},
	{FROM_CLIENT, BYTES("\x05\x00\x00\x00\x00\x00\x00"), NOTHING, "failed",
		"an INFO packet names a version below 2", 0},
};

static void
packets_have_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hearings); i++) {
		const struct hearing *const h = &hearings[i];
		struct wisp_handshake handshake;

		if (h->versions == FROM_CLIENT)
			wisp_handshake_init_server(&handshake, &server_options, 2);
		else
			wisp_handshake_init_client(&handshake, &client_options[h->versions]);
		receive(&handshake, h->first, h->first_n);
		if (h->second != NULL)
			receive(&handshake, h->second, h->second_n);
		assert_string_equal(state_names[handshake.state], h->state);
		assert_int_equal(handshake.reason, h->reason);
		if (h->error != NULL)
			assert_string_equal(handshake.error, h->error);
		assert_int_equal(handshake.fault == WISP_FAULT_NOT_WISP,
			h->error != NULL && strncmp(h->error, "the server begins", strlen("the server begins")) == 0);
	}
}

/* The server's CONTINUE may come right behind its INFO: the client's INFO is sent all the same. */
static void
client_that_is_done_still_sends_info(void **state)
{
	struct wisp_handshake client;
	struct buffer log = {0};

	(void)state;
	wisp_handshake_init_client(&client, &client_options[WISP_VERSION_AUTO]);
	receive(&client, V2_INFO);
	receive(&client, BYTES("\x03\x00\x00\x00\x00\x05\x00\x00\x00"));
	assert_int_equal(client.state, WISP_HANDSHAKE_DONE);
	assert_int_equal(say(&client, NULL, &log), 1);
	assert_string_equal(buffer_text(&log), INFO);
	buffer_free(&log);
}

/* ---- extensions ---- */

/* Walk through extensions, and log each. Returns how many bytes could not be read. */
static size_t
walk(const uint8_t *p, size_t n, struct buffer *log)
{
	uint8_t *const copy = exact_copy(p, n);
	const uint8_t *at = copy;
	struct wisp_extension extension;
	size_t left = n;

	while (wisp_extension_next(&at, &left, &extension)) {
		assert_true(at + left == copy + n);
		buffer_printf(log, "%d(", extension.id);
		buffer_put_escaped(log, extension.data, extension.size);
		buffer_printf(log, ")");
	}
	free(copy);
	return left;
}

static const struct wisp_extension extensions[] = {
	{WISP_EXTENSION_UDP, NULL, 0},
	{WISP_EXTENSION_MOTD, BYTES("hello")},
	{WISP_EXTENSION_PASSWORD, BYTES("\x01")},
	{0xff, BYTES("unknown")},
	{WISP_EXTENSION_OPEN_CONFIRMATION, NULL, 0},
};

static void
extensions_are_written_and_read(void **state)
{
	uint8_t p[100];
	size_t n = 0, ends[COUNT(extensions) + 1] = {0};
	struct buffer whole = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(extensions); i++) {
		const size_t size = wisp_extension_write(p + n, &extensions[i]);

		assert_int_equal(size, WISP_EXTENSION_HEADER_SIZE + extensions[i].size);
		n += size;
		ends[i + 1] = n;
	}
	assert_memory_equal(p, "\x01\x00\x00\x00\x00\x04\x05\x00\x00\x00hello", 15);
	assert_int_equal(walk(p, n, &whole), 0);
	assert_string_equal(buffer_text(&whole), "1()4(hello)2(\\x01)255(unknown)5()");
	buffer_free(&whole);

	/* Each truncation leaves what is left of the entry that was cut. */
	for (size_t cut = 0, complete = 0; cut < n; cut++) {
		struct buffer log = {0};

		while (ends[complete + 1] <= cut)
			complete++;
		assert_int_equal(walk(p, cut, &log), cut - ends[complete]);
		buffer_free(&log);
	}
}

/* An INFO with one extension whose length field does not say what there is: only the right one passes. */
static void
extension_lengths_have_to_fit(void **state)
{
	static const uint32_t sizes[] = {
		0, 1, 4, 5, 6, 7, 10, 255, 256, 65536, 0x7fffffff, 0x80000000, 0xfffffffa, 0xfffffffb, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint8_t message[] = "\x05\x00\x00\x00\x00\x02\x00\x04\x00\x00\x00\x00hello";
		struct wisp_handshake handshake;
		/* Below it, what is left over would have to be an entry of its own, which no part of "hello" is. */
		const bool fits = sizes[i] == 5;

		for (int k = 0; k < 4; k++)
			message[8 + k] = (uint8_t)(sizes[i] >> 8 * k);
		wisp_handshake_init_client(&handshake, &client_options[WISP_VERSION_2]);
		receive(&handshake, message, sizeof message - 1);
		if (fits) {
			assert_int_equal(handshake.state, WISP_HANDSHAKE_CREDIT);
		} else {
			assert_int_equal(handshake.state, WISP_HANDSHAKE_FAILED);
			assert_string_equal(handshake.error, "an INFO packet has an extension that runs over its end");
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_agreed_on),
		cmocka_unit_test(packets_have_their_place),
		cmocka_unit_test(client_that_is_done_still_sends_info),
		cmocka_unit_test(extensions_are_written_and_read),
		cmocka_unit_test(extension_lengths_have_to_fit),
	};

	return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
