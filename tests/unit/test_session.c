/* Sessions: the handshake, the WebSocket, and what ends them. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "peer.h"

/* ---- handshake ---- */

#define INFO "INFO 0 (\\x02\\x00)\n"
#define FULL_INFO                                                                                                      \
	"INFO 0 (\\x02\\x00\\x01\\x00\\x00\\x00\\x00\\x05\\x00\\x00\\x00\\x00\\xf1\\x01\\x00\\x00\\x00\\x01)\n"

static void
handshakes_agree_on_a_version(void **state)
{
	static const struct {
		enum wisp_versions client;
		uint8_t server;
		unsigned version;
		const char *client_says, *server_says;
		const char *server_events;
	} cases[] = {
		{WISP_VERSION_1, 1, 1, "", "CONTINUE 0 50\n", ""},
		{WISP_VERSION_AUTO, 1, 1, "", "CONTINUE 0 50\n", ""},
		{WISP_VERSION_AUTO, 2, 2, FULL_INFO, FULL_INFO "CONTINUE 0 50\n", "ready\n"},
		{WISP_VERSION_2, 2, 2, FULL_INFO, FULL_INFO "CONTINUE 0 50\n", "ready\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases) * SPLITS; i++) {
		struct peer *const client = peer_new_client(cases[i / SPLITS].client);
		struct peer *const server = peer_new_server(cases[i / SPLITS].server, 50, 10);

		assert_int_equal(wisp_session_version(client->session), 0);
		assert_true(wisp_session_pending(server->session));
		assert_false(wisp_session_pending(client->session));
		peer_exchange(client, server, (unsigned)(i % SPLITS), 4096);
		assert_string_equal(peer_log(client), cases[i / SPLITS].client_says);
		assert_string_equal(peer_log(server), cases[i / SPLITS].server_says);
		assert_string_equal(peer_events(client), "ready\n");
		assert_string_equal(peer_events(server), cases[i / SPLITS].server_events);
		assert_int_equal(wisp_session_version(client->session), cases[i / SPLITS].version);
		assert_int_equal(wisp_session_version(server->session), cases[i / SPLITS].version);
		peer_free(client);
		peer_free(server);
	}
}

/* Each step that gives a side something to say wakes it. */
static void
handshake_wakes(void **state)
{
	struct peer *const client = peer_new_client(WISP_VERSION_AUTO);
	struct peer *const server = peer_new_server(2, 50, 10);

	(void)state;
	assert_true(peer_hear_message(client, BYTES("\x05\x00\x00\x00\x00\x02\x00")));
	assert_int_equal(client->wakes, 1);
	assert_string_equal(peer_pull_all(server), FULL_INFO);
	assert_string_equal(peer_pull_all(client), INFO);
	assert_true(peer_hear_message(server, BYTES("\x05\x00\x00\x00\x00\x02\x00")));
	assert_int_equal(server->wakes, 1);
	peer_free(client);
	peer_free(server);
}

static void
handshakes_without_agreement_fail(void **state)
{
	static const struct {
		enum wisp_versions client;
		uint8_t server;
		const char *error;
	} cases[] = {
		{WISP_VERSION_2, 1, "the server speaks only Wisp v1"},
		{WISP_VERSION_1, 2, "the server speaks Wisp v2, and was asked for v1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *const client = peer_new_client(cases[i].client);
		struct peer *const server = peer_new_server(cases[i].server, 50, 10);

		peer_exchange(client, server, 0, 4096);
		assert_string_equal(wisp_session_error(client->session), cases[i].error);
		assert_string_equal(peer_log(client), "END 1002\n");
		assert_string_equal(peer_events(client), "");
		assert_int_equal(wisp_session_version(client->session), 0);
		assert_string_equal(
			wisp_session_error(server->session), "the client closed the WebSocket (status 1002)");
		peer_free(client);
		peer_free(server);
	}
}

/* ---- what ends a session ---- */

/* A message that a side hears once its handshake is done and it has a stream 1, and what it makes of it. */
struct ending {
	bool client;
	const uint8_t *message;
	size_t n;
	const char *error;
	const char *says;
};

#define WRONG(text) "protocol error: " text
#define NOT_WISP(text) "the server does not speak Wisp (" text ")"

static const struct ending endings[] = {
	{true, BYTES("\x01\x09\x00\x00\x00\x01\x50\x00h"), WRONG("a CONNECT packet out of place"), "END 1002\n"},
	{false, BYTES("\x01\x00\x00\x00\x00\x01\x50\x00h"), WRONG("a CONNECT packet out of place"), "END 1002\n"},
	{false, BYTES("\x01\x01\x00\x00\x00\x01\x50\x00h"), WRONG("a stream id is used twice"), "END 1002\n"},
	{true, BYTES("\x02\x00\x00\x00\x00x"), WRONG("a packet of type 2 on stream 0"), "END 1002\n"},
	{false, BYTES("\x02\x00\x00\x00\x00"), WRONG("a packet of type 2 on stream 0"), "END 1002\n"},
	{false, BYTES("\x05\x00\x00\x00\x00\x02\x00"), WRONG("a packet of type 5 on stream 0"), "END 1002\n"},
	{true, BYTES("\x05\x01\x00\x00\x00\x02\x00"), WRONG("an INFO packet on a stream"), "END 1002\n"},
	{false, BYTES("\x05\x01\x00\x00\x00\x02\x00"), WRONG("an INFO packet on a stream"), "END 1002\n"},
	{true, BYTES("\xf1\x00\x00\x00\x00"), WRONG("a packet of type 241 on stream 0"), "END 1002\n"},
	{false, BYTES("\xf1\x00\x00\x00\x00"), WRONG("a packet of type 241 on stream 0"), "END 1002\n"},
	{true, BYTES("\xf2\x00\x00\x00\x00"), WRONG("a packet has an unknown type"), "END 1002\n"},
	{true, BYTES("\x02\x01\x00\x00"), WRONG("a packet is shorter than its header"), "END 1002\n"},
	{true, BYTES(""), WRONG("a packet is shorter than its header"), "END 1002\n"},
	{false, BYTES("GET / HTTP/1.1"), WRONG("a packet has an unknown type"), "END 1002\n"},
	{true, BYTES("\x00\x01\x00\x00\x00"), WRONG("a packet has an unknown type"), "END 1002\n"},
	{true, BYTES("\x03\x01\x00\x00\x00\x01"), WRONG("a CONTINUE packet is too short"), "END 1002\n"},
	{false, BYTES("\x01\x02\x00\x00\x00\x01"), WRONG("a CONNECT packet is too short"), "END 1002\n"},
	{true, BYTES("\x04\x00\x00\x00\x00\x02"), "the server closed the connection (closed)", "END 1000\n"},
	{false, BYTES("\x04\x00\x00\x00\x00\x81"), "the client closed the connection (the client cannot take more)",
		"END 1000\n"},
};

static void
packets_out_of_place_end_the_session(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(endings); i++) {
		struct peer *const peer = peer_new_with_stream(endings[i].client);

		assert_null(wisp_session_error(peer->session));
		assert_false(peer_hear_message(peer, endings[i].message, endings[i].n));
		assert_string_equal(wisp_session_error(peer->session), endings[i].error);
		assert_int_equal(wisp_session_handshake(peer->session)->reason, 0);
		peer_expect_end(peer, endings[i].says);
		assert_string_equal(peer_events(peer), "");
		peer_free(peer);
	}
}

/* What follows the end in the same segment is not looked at. */
static void
nothing_is_heard_after_the_end(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);

	(void)state;
	assert_false(peer_hear(peer, BYTES("\x82\x06\x04\x00\x00\x00\x00\x02\x82\x06\x04\x01\x00\x00\x00\x02")));
	assert_string_equal(peer_events(peer), "");
	assert_false(peer_hear_close(peer, 1, WISP_REASON_VOLUNTARY));
	assert_string_equal(peer_events(peer), "");
	assert_null(wisp_stream_open(peer->session, &(struct wisp_destination){WISP_TCP, 80, "h", 1}, NULL, peer));
	peer_free(peer);
}

static void
frame_errors_end_the_session(void **state)
{
	static const struct {
		bool client;
		const uint8_t *p;
		size_t n;
		const char *error;
	} cases[] = {
		{true, BYTES("\x82\x80\x00\x00\x00\x00"), WRONG("a frame from the server is masked")},
		{false, BYTES("\x82\x00"), WRONG("a frame from the client is not masked")},
		{true, BYTES("HTTP/1.1 502 Bad Gateway"), WRONG("reserved bits are set in a frame")},
		{true, BYTES("\x83\x00"), WRONG("a frame has a reserved opcode")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *const peer = peer_new_with_stream(cases[i].client);

		assert_false(peer_hear(peer, cases[i].p, cases[i].n));
		assert_string_equal(wisp_session_error(peer->session), cases[i].error);
		peer_expect_end(peer, "END 1002\n");
		peer_free(peer);
	}
}

/* Before the handshake is done. A server speaks v2 here: one of v1 has nothing to wait for. */
static void
refusals_of_the_handshake_end_the_session(void **state)
{
	static const struct {
		bool client;
		const uint8_t *p;
		size_t n;
		const char *error;
		uint8_t refusal;
		const char *says;
	} cases[] = {
		{true, BYTES("\x04\x00\x00\x00\x00\xc0"),
			"the server refused the connection (wrong user name or password)", WISP_REASON_BAD_PASSWORD,
			"END 1000\n"},
		{true, BYTES("\x04\x00\x00\x00\x00\x48"),
			"the server refused the connection (blocked by the server's policy)", WISP_REASON_BLOCKED,
			"END 1000\n"},
		{true, BYTES("\x04\x00\x00\x00\x00"), "the server refused the connection (unknown)",
			WISP_REASON_UNKNOWN, "END 1000\n"},
		{false, BYTES("\x04\x00\x00\x00\x00\x04"),
			"the client refused the connection (incompatible extensions)", WISP_REASON_INCOMPATIBLE,
			"END 1000\n"},
		{true, BYTES("\x02\x01\x00\x00\x00x"), NOT_WISP("the server begins with a stream's packet"), 0,
			"END 1002\n"},
		{true, BYTES("\x01\x01\x00\x00\x00\x01\x50\x00h"), NOT_WISP("the server begins with a stream's packet"),
			0, "END 1002\n"},
		{false, BYTES("\x01\x01\x00\x00\x00\x01\x50\x00h"),
			"a stream's packet came before the end of the handshake", 0, "END 1002\n"},
		{true, BYTES("\x02\x00\x00\x00\x00x"), NOT_WISP("the server begins with neither INFO nor CONTINUE"), 0,
			"END 1002\n"},
		{false, BYTES("\x05\x00\x00\x00\x00\x01\x00"), "an INFO packet names a version below 2", 0,
			"END 1002\n"},
		{true, BYTES("\xff\x00\x00\x00\x00"), NOT_WISP("a packet has an unknown type"), 0, "END 1002\n"},
		{false, BYTES("\xff\x00\x00\x00\x00"), WRONG("a packet has an unknown type"), 0, "END 1002\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *const peer =
			cases[i].client ? peer_new_client(WISP_VERSION_AUTO) : peer_new_server(2, 50, 10);

		assert_false(peer_hear_message(peer, cases[i].p, cases[i].n));
		assert_string_equal(wisp_session_error(peer->session), cases[i].error);
		assert_int_equal(wisp_session_handshake(peer->session)->reason, cases[i].refusal);
		peer_expect_end(peer, cases[i].says);
		assert_string_equal(peer_events(peer), "");
		peer_free(peer);
	}
}

/* ---- the WebSocket ---- */

static void
close_is_answered_with_close(void **state)
{
	static const struct {
		const uint8_t *p;
		size_t n;
		const char *error;
		unsigned status;
		const char *says;
	} cases[] = {
		{BYTES("\x03\xe8"), "the server closed the WebSocket (status 1000)", 1000, "END 1000\n"},
		{BYTES("\x03\xe9going away"), "the server closed the WebSocket (status 1001: going away)", 1001,
			"END 1001\n"},
		{BYTES("\x03\xe7"), "the server closed the WebSocket (status 999)", 999, "END 1000\n"},
		{BYTES("\x03\xec"), "the server closed the WebSocket (status 1004)", 1004, "END 1000\n"},
		{BYTES("\x03\xed"), "the server closed the WebSocket (status 1005)", 1005, "END 1000\n"},
		{BYTES("\x03\xee"), "the server closed the WebSocket (status 1006)", 1006, "END 1000\n"},
		{BYTES("\x03\xf7"), "the server closed the WebSocket (status 1015)", 1015, "END 1000\n"},
		{BYTES("\x13\x87"), "the server closed the WebSocket (status 4999)", 4999, "END 4999\n"},
		{BYTES("\x13\x88"), "the server closed the WebSocket (status 5000)", 5000, "END 1000\n"},
		{BYTES("\x0f\xa0\x1b[2J \xe9 \n."), "the server closed the WebSocket (status 4000: ?[2J ? ?.)", 4000,
			"END 4000\n"},
		{BYTES(""), "the server closed the WebSocket (status 1005)", 1005, "END 1000\n"},
		{BYTES("\x03"), "protocol error: a close frame is too short", 1005, "END 1002\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *const peer = peer_new_with_stream(true);

		assert_int_equal(wisp_session_close_status(peer->session), 0);
		peer_write_text(peer_stream(peer, 1), "never sent");
		assert_true(peer_hear_frame(peer, WISP_OPCODE_PING, "never answered", 14));
		assert_false(peer_hear_frame(peer, WISP_OPCODE_CLOSE, cases[i].p, cases[i].n));
		assert_string_equal(wisp_session_error(peer->session), cases[i].error);
		assert_int_equal(wisp_session_close_status(peer->session), cases[i].status);
		peer_expect_end(peer, cases[i].says);
		peer_free(peer);
	}
}

/* The longest reason there is does not run over the text that it becomes part of. */
static void
long_close_reason_is_cut(void **state)
{
	struct peer *const peer = peer_new_with_stream(false);
	char payload[WISP_FRAME_CONTROL_MAX];

	(void)state;
	memset(payload, 'r', sizeof payload);
	assert_false(peer_hear_frame(peer, WISP_OPCODE_CLOSE, payload, sizeof payload));
	assert_non_null(
		strstr(wisp_session_error(peer->session), "the client closed the WebSocket (status 29298: rrr"));
	assert_non_null(strstr(wisp_session_error(peer->session), "rrr)"));
	peer_free(peer);
}

static void
shutdown_sends_close_and_nothing_more(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);

	(void)state;
	peer_write_text(peer_stream(peer, 1), "never sent");
	wisp_session_shutdown(peer->session, WISP_WS_GOING_AWAY);
	wisp_session_shutdown(peer->session, WISP_WS_NORMAL);
	assert_null(wisp_session_error(peer->session));
	peer_expect_end(peer, "END 1001\n");
	/* The other side may still have something on its way. */
	assert_true(peer_hear_data(peer, 1, "late"));
	assert_string_equal(buffer_text(&peer_stream(peer, 1)->received), "late");
	assert_false(peer_hear_frame(peer, WISP_OPCODE_CLOSE, "\x03\xe9", 2));
	assert_int_equal(wisp_session_close_status(peer->session), 1001);
	assert_string_equal(peer_pull_all(peer), "");
	peer_free(peer);
}

static void
ping_is_answered_with_its_payload(void **state)
{
	char payload[WISP_FRAME_CONTROL_MAX];

	(void)state;
	memset(payload, 'p', sizeof payload);
	for (int client = 0; client < 2; client++) {
		struct peer *const peer = peer_new_with_stream(client);

		assert_true(peer_hear_frame(peer, WISP_OPCODE_PING, "are you there", 13));
		assert_true(wisp_session_pending(peer->session));
		assert_string_equal(peer_pull_all(peer), "PONG (are you there)\n");
		assert_true(peer_hear_frame(peer, WISP_OPCODE_PING, "", 0));
		assert_string_equal(peer_pull_all(peer), "PONG ()\n");
		assert_true(peer_hear_frame(peer, WISP_OPCODE_PING, payload, sizeof payload));
		assert_string_equal(peer_pull_all(peer), "PONG [125]\n");
		/* RFC 6455 section 5.5.3: the last of several is enough. */
		assert_true(peer_hear_frame(peer, WISP_OPCODE_PING, payload, sizeof payload));
		assert_true(peer_hear_frame(peer, WISP_OPCODE_PING, "last", 4));
		assert_string_equal(peer_pull_all(peer), "PONG (last)\n");
		assert_true(peer_hear_frame(peer, WISP_OPCODE_PONG, "unasked", 7));
		assert_string_equal(peer_pull_all(peer), "");
		peer_free(peer);
	}
}

static void
pings_are_sent(void **state)
{
	struct peer *const peer = peer_new_client(WISP_VERSION_AUTO);

	(void)state;
	wisp_session_ping(peer->session);
	wisp_session_ping(peer->session);
	assert_string_equal(peer_pull_all(peer), "PING (\\x01\\x00\\x00\\x00)\n");
	assert_string_equal(peer_pull_all(peer), "");
	peer_free(peer);
}

/* Only the answer to the last ping counts, and only once: it is what a round trip is measured by. */
static void
pongs_are_told(void **state)
{
	struct peer *const peer = peer_new_client(WISP_VERSION_AUTO);

	(void)state;
	assert_true(peer_hear_frame(peer, WISP_OPCODE_PONG, "\1\0\0", 4));
	for (int i = 0; i < 2; i++) {
		wisp_session_ping(peer->session);
		peer_pull_all(peer);
	}
	assert_true(peer_hear_frame(peer, WISP_OPCODE_PONG, "", 0));
	assert_true(peer_hear_frame(peer, WISP_OPCODE_PONG, "\1\0\0", 4));
	assert_true(peer_hear_frame(peer, WISP_OPCODE_PONG, "\2\0\0\0", 5));
	assert_string_equal(peer_events(peer), "");
	assert_true(peer_hear_frame(peer, WISP_OPCODE_PONG, "\2\0\0", 4));
	assert_string_equal(peer_events(peer), "pong\n");
	assert_true(peer_hear_frame(peer, WISP_OPCODE_PONG, "\2\0\0", 4));
	assert_string_equal(peer_events(peer), "");
	peer_free(peer);
}

static void
text_messages_are_ignored(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);

	(void)state;
	assert_true(peer_hear_frame(peer, WISP_OPCODE_TEXT, "\x04\x01\x00\x00\x00\x02", 6));
	assert_true(peer_hear_frame(peer, WISP_OPCODE_TEXT, "", 0));
	/* In fragments, with a ping between them, and then a packet in fragments. */
	assert_true(peer_hear(peer, BYTES("\x01\x02hi\x89\x00\x80\x01!")));
	assert_true(peer_hear(peer, BYTES("\x02\x03\x02\x01\x00\x00\x02\x00\x00\x80\x02ok")));
	assert_string_equal(peer_pull_all(peer), "PONG ()\n");
	assert_string_equal(peer_events(peer), "");
	assert_string_equal(buffer_text(&peer_stream(peer, 1)->received), "ok");
	assert_int_equal(peer_stream(peer, 1)->received_packets, 1);
	peer_free(peer);
}

/* But for what a server begins with: that is no Wisp server. To a client, it is text as any other. */
static void
text_before_the_handshake(void **state)
{
	struct peer *const client = peer_new_client(WISP_VERSION_AUTO);
	struct peer *const server = peer_new_server(2, 50, 10);

	(void)state;
	assert_false(peer_hear_frame(client, WISP_OPCODE_TEXT, "hi", 2));
	assert_string_equal(wisp_session_error(client->session), NOT_WISP("the server begins with text"));
	peer_expect_end(client, "END 1002\n");
	assert_true(peer_hear_frame(server, WISP_OPCODE_TEXT, "hi", 2));
	peer_free(client);
	peer_free(server);
}

static void
wake_is_called_once(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);
	unsigned wakes;

	(void)state;
	wakes = peer->wakes;
	wisp_session_ping(peer->session);
	peer_write_text(peer_stream(peer, 1), "data");
	peer_open(peer, WISP_TCP, "host");
	assert_int_equal(peer->wakes, wakes + 1);
	peer_pull_all(peer);
	wisp_session_ping(peer->session);
	assert_int_equal(peer->wakes, wakes + 2);
	/* There is still something after this pull, so the next one is due anyway. */
	peer_write_bulk(peer_stream(peer, 1), 5000);
	peer_pull(peer, WISP_PULL_MIN);
	assert_true(wisp_session_pending(peer->session));
	wisp_session_ping(peer->session);
	assert_int_equal(peer->wakes, wakes + 2);
	peer_free(peer);
}

/* Any unknown reason counts as 0x01, 0 too: such a CLOSE is a refusal, not a protocol error. */
static void
refusal_with_reason_zero_is_a_refusal(void **state)
{
	struct peer *const peer = peer_new_client(WISP_VERSION_AUTO);

	(void)state;
	assert_false(peer_hear_close(peer, WISP_CONNECTION, 0));
	assert_string_equal(wisp_session_error(peer->session), "the server refused the connection (unknown)");
	assert_int_equal(wisp_session_handshake(peer->session)->reason, WISP_REASON_UNKNOWN);
	assert_string_equal(peer_pull_all(peer), "END 1000\n");
	peer_free(peer);
}

/* Who pulls knows that there is something to pull. */
static void
pull_does_not_wake(void **state)
{
	struct peer *const peer = peer_new_ready_client(4);
	struct peer_stream *const stream = peer_open(peer, WISP_TCP, "h");
	unsigned wakes;

	(void)state;
	assert_true(peer_hear_continue(peer, 1, 1));
	peer_write_text(stream, "crumb");
	assert_string_equal(peer_pull_all(peer), "CONNECT 1 tcp h 80\n");
	wakes = peer->wakes;
	peer->now_ms += WISP_GATHER_MS;
	assert_string_equal(peer_pull_all(peer), "DATA 1 (crumb)\n");
	assert_int_equal(peer->wakes, wakes);
	peer_free(peer);
}

/* What servers on wisp-mux do: 5.1 sends INFO behind its CONTINUE, later ones refuse behind it. */
static void
late_packets_of_the_handshake(void **state)
{
	struct peer *const client = peer_new_ready_client(PEER_CREDIT), *const server = peer_new_ready_server(9, 10);

	(void)state;
	assert_true(peer_hear_message(client, BYTES("\x05\x00\x00\x00\x00\x02\x00")));
	peer_write_text(peer_open(client, WISP_TCP, "h"), "x");
	assert_string_equal(peer_pull_all(client), "CONNECT 1 tcp h 80\nDATA 1 (x)\n");
	assert_false(peer_hear_close(client, WISP_CONNECTION, WISP_REASON_BAD_PASSWORD));
	assert_int_equal(wisp_session_handshake(client->session)->reason, WISP_REASON_BAD_PASSWORD);
	assert_false(peer_hear_message(server, BYTES("\x05\x00\x00\x00\x00\x02\x00")));
	peer_free(client);
	peer_free(server);
}

/* In v2 there is no second INFO, and a refusal that comes late is one all the same. */
static void
late_packets_of_the_handshake_v2(void **state)
{
	static const struct ending late[] = {
		{true, BYTES("\x05\x00\x00\x00\x00\x02\x00"), WRONG("a packet of type 5 on stream 0"), "END 1002\n"},
		{true, BYTES("\x04\x00\x00\x00\x00\x04"), "the server closed the connection (incompatible extensions)",
			"END 1000\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(late); i++) {
		struct peer *const client = peer_new_client(WISP_VERSION_AUTO);

		assert_true(peer_hear_message(client, BYTES("\x05\x00\x00\x00\x00\x02\x00")));
		peer_pull_all(client);
		assert_true(peer_hear_continue(client, WISP_CONNECTION, 1));
		assert_false(peer_hear_message(client, late[i].message, late[i].n));
		assert_string_equal(wisp_session_error(client->session), late[i].error);
		assert_int_equal(
			wisp_session_handshake(client->session)->reason, i == 0 ? 0 : WISP_REASON_INCOMPATIBLE);
		peer_expect_end(client, late[i].says);
		peer_free(client);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshakes_agree_on_a_version),
		cmocka_unit_test(handshake_wakes),
		cmocka_unit_test(handshakes_without_agreement_fail),
		cmocka_unit_test(packets_out_of_place_end_the_session),
		cmocka_unit_test(nothing_is_heard_after_the_end),
		cmocka_unit_test(frame_errors_end_the_session),
		cmocka_unit_test(refusals_of_the_handshake_end_the_session),
		cmocka_unit_test(close_is_answered_with_close),
		cmocka_unit_test(long_close_reason_is_cut),
		cmocka_unit_test(shutdown_sends_close_and_nothing_more),
		cmocka_unit_test(ping_is_answered_with_its_payload),
		cmocka_unit_test(pings_are_sent),
		cmocka_unit_test(pongs_are_told),
		cmocka_unit_test(text_messages_are_ignored),
		cmocka_unit_test(text_before_the_handshake),
		cmocka_unit_test(wake_is_called_once),
		cmocka_unit_test(refusal_with_reason_zero_is_a_refusal),
		cmocka_unit_test(pull_does_not_wake),
		cmocka_unit_test(late_packets_of_the_handshake),
		cmocka_unit_test(late_packets_of_the_handshake_v2),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
