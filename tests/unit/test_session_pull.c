/* What sessions send, when, and in which order: credit, gathering, short flows first, the sizes of pulls. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "session_private.h"

#define ROOM 70000

/* A client with this credit, and a stream that has been opened. */
static struct peer *
client_with_stream(uint32_t credit)
{
	struct peer *const client = peer_new_ready_client(credit);

	peer_open(client, WISP_TCP, "h");
	assert_string_equal(peer_pull_all(client), "CONNECT 1 tcp h 80\n");
	return client;
}

/* A server that has an open stream of this type. */
static struct peer *
server_with_stream(uint32_t credit, enum wisp_stream_type type)
{
	struct peer *const server = peer_new_ready_server(credit, 10);
	const struct wisp_destination destination = {type, 80, "h", 1};
	uint8_t p[32];

	assert_true(peer_hear_message(server, p, wisp_packet_connect(p, 1, &destination)));
	return server;
}

/* ---- nothing waits ---- */

static void
connect_and_data_leave_together(void **state)
{
	(void)state;
	for (int v2 = 0; v2 < 2; v2++) {
		struct peer *const client = peer_new_client(WISP_VERSION_AUTO);

		if (v2)
			assert_true(peer_hear_message(client, BYTES("\x05\0\0\0\0\x02\0\x01\0\0\0\0")));
		assert_true(peer_hear_continue(client, WISP_CONNECTION, PEER_CREDIT));
		peer_write_text(peer_open(client, WISP_TCP, "one.example"), "GET /");
		peer_write_text(peer_open(client, WISP_UDP, "two"), "query");
		if (v2)
			assert_string_equal(peer_pull_all(client),
				"INFO 0 (\\x02\\x00\\x01\\x00\\x00\\x00\\x00)\nCONNECT 1 tcp one.example 80\nCONNECT 2 "
				"udp two 80\n"
				"DATA 1 (GET /)\nDATA 2 (query)\n");
		else
			assert_string_equal(peer_pull_all(client),
				"CONNECT 1 tcp one.example 80\nCONNECT 2 udp two 80\n"
				"DATA 1 (GET /)\nDATA 2 (query)\n");
		peer_free(client);
	}
}

/* What the connection has to say goes before what streams have, and their packets before their data. */
static void
urgent_things_go_first(void **state)
{
	struct peer *const client = client_with_stream(PEER_CREDIT);

	(void)state;
	peer_write_text(peer_stream(client, 1), "data");
	peer_write_text(peer_open(client, WISP_TCP, "new"), "first");
	wisp_session_ping(client->session);
	assert_true(peer_hear_frame(client, WISP_OPCODE_PING, "p", 1));
	assert_string_equal(peer_pull_all(client),
		"PONG (p)\nPING (\\x01\\x00\\x00\\x00)\nCONNECT 2 tcp new 80\nDATA 1 (data)\nDATA 2 (first)\n");
	peer_free(client);
}

/* A pull with a hundred streams' CONNECT, in pulls as small as there are, in their order. */
static void
packets_go_out_in_order_through_small_pulls(void **state)
{
	struct peer *const client = peer_new_ready_client(PEER_CREDIT);
	struct buffer expected = {0};

	(void)state;
	for (unsigned i = 1; i <= 300; i++) {
		assert_int_equal(peer_open(client, WISP_TCP, "host")->id, i);
		buffer_printf(&expected, "CONNECT %u tcp host 80\n", i);
	}
	while (wisp_session_pending(client->session))
		assert_string_not_equal(peer_pull(client, WISP_PULL_MIN), "");
	assert_string_equal(peer_log(client), buffer_text(&expected));
	buffer_free(&expected);
	peer_free(client);
}

/* ---- sizes ---- */

static void
packets_have_a_largest_size(void **state)
{
	struct peer *const client = client_with_stream(PEER_CREDIT);

	(void)state;
	peer_write_bulk(peer_stream(client, 1), WISP_QUANTUM + 2 * WISP_DATA_MAX + 100);
	/* A newcomer's first is smaller. */
	assert_string_equal(peer_pull(client, ROOM / 3), "DATA 1 [16384]\n");
	/* The length of the frame fits in 16 bits. */
	assert_string_equal(peer_pull_all(client), "DATA 1 [65530]\nDATA 1 [65530]\nDATA 1 [100]\n");
	assert_memory_equal(client->sent.p, "\x82\xfe\xff\xff", 4);
	peer_free(client);
}

static void
pull_needs_a_least_room(void **state)
{
	struct peer *const client = client_with_stream(PEER_CREDIT);

	(void)state;
	peer_write_text(peer_stream(client, 1), "data");
	wisp_session_ping(client->session);
	assert_string_equal(peer_pull(client, 0), "");
	assert_string_equal(peer_pull(client, WISP_PULL_MIN - 1), "");
	assert_true(wisp_session_pending(client->session));
	assert_string_equal(peer_pull(client, WISP_PULL_MIN), "PING (\\x01\\x00\\x00\\x00)\n");
	assert_string_equal(peer_pull(client, WISP_PULL_MIN), "DATA 1 (data)\n");
	peer_free(client);
}

/* Pulls of each size get all data through and never write past their end (peer_pull() has blocks of just that size). */
static void
pulls_of_any_size_work(void **state)
{
	static const size_t around[] = {WISP_PULL_MIN, 4096, 8192, 16384, 65535, 2 * 65536};

	(void)state;
	for (size_t i = 0; i < COUNT(around); i++) {
		for (size_t n = around[i]; n < around[i] + 40; n += 1 + i) {
			struct peer *const client = client_with_stream(UINT32_MAX);
			struct peer_stream *const stream = peer_stream(client, 1);

			peer_write_bulk(stream, 3 * around[i]);
			while (wisp_session_pending(client->session))
				peer_pull(client, n);
			assert_int_equal(stream->outgoing.n, 0);
			peer_free(client);
		}
	}
}

/* RFC 6455 section 5.3: a new key for each frame, by a client, and none by a server (which the peer's wire checks). */
static void
each_frame_has_its_own_key(void **state)
{
	struct peer *const client = peer_new_ready_client(PEER_CREDIT);
	uint32_t keys[600];
	int equal = 0;

	(void)state;
	for (int i = 0; i < (int)COUNT(keys); i++) {
		wisp_session_ping(client->session);
		peer_pull_all(client);
		assert_int_equal(client->sent.n, 10);
		memcpy(&keys[i], client->sent.p + 2, sizeof keys[i]);
		for (int k = 0; k < i; k++)
			equal += keys[k] == keys[i];
	}
	assert_between(equal, 0, 1); /* random keys may meet */
	peer_free(client);
}

/* ---- credit ---- */

/* Write a packet's worth: as it is sent at once, each is a DATA packet of its own. Returns what is pulled. */
static const char *
send_text(struct peer *client, const char *text)
{
	peer_write_text(peer_stream(client, 1), text);
	return peer_pull_all(client);
}

/* Credit so small that nothing counts as short of it. */
static void
credit_is_never_exceeded(void **state)
{
	struct peer *const client = client_with_stream(3);

	(void)state;
	assert_string_equal(send_text(client, "a"), "DATA 1 (a)\n");
	assert_string_equal(send_text(client, "b"), "DATA 1 (b)\n");
	assert_string_equal(send_text(client, "c"), "DATA 1 (c)\n");
	assert_string_equal(send_text(client, "d"), "");
	assert_string_equal(send_text(client, "e"), "");
	assert_false(wisp_session_pending(client->session));
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	/* All that waited goes in one packet. */
	assert_true(peer_hear_continue(client, 1, 1));
	assert_string_equal(peer_events(client), "granted 1\n");
	assert_true(wisp_session_pending(client->session));
	assert_string_equal(peer_pull_all(client), "DATA 1 (de)\n");
	assert_string_equal(send_text(client, "f"), "");
	peer_free(client);
}

static void
continue_replaces_credit(void **state)
{
	struct peer *const client = client_with_stream(3);

	(void)state;
	assert_true(peer_hear_continue(client, 1, 2));
	assert_true(peer_hear_continue(client, 1, 1));
	assert_string_equal(send_text(client, "a"), "DATA 1 (a)\n");
	assert_string_equal(send_text(client, "b"), "");
	assert_true(peer_hear_continue(client, 1, 0));
	assert_string_equal(peer_pull_all(client), "");
	assert_true(peer_hear_continue(client, 1, 2));
	assert_string_equal(peer_pull_all(client), "DATA 1 (b)\n");
	assert_true(peer_hear_continue(client, 1, 0));
	assert_string_equal(send_text(client, "c"), "");
	/* Another stream has its own. */
	peer_write_text(peer_open(client, WISP_TCP, "h"), "x");
	assert_string_equal(peer_pull_all(client), "CONNECT 2 tcp h 80\nDATA 2 (x)\n");
	peer_free(client);
}

/* The end of credit within a pull stops one stream, not the others. */
static void
stream_without_credit_does_not_stop_others(void **state)
{
	struct peer *const client = client_with_stream(2);

	(void)state;
	peer_write_bulk(peer_stream(client, 1), 4 * WISP_DATA_MAX);
	peer_write_text(peer_open(client, WISP_TCP, "h"), "x");
	assert_string_equal(peer_pull_all(client), "CONNECT 2 tcp h 80\nDATA 1 [16384]\nDATA 2 (x)\nDATA 1 [65530]\n");
	assert_true(peer_hear_continue(client, 1, 7));
	assert_string_equal(peer_pull_all(client), "DATA 1 [65530]\nDATA 1 [65530]\nDATA 1 [49146]\n");
	peer_free(client);
}

/* A server that begins with a credit of 0 lets streams open, and no more. */
static void
initial_credit_may_be_zero(void **state)
{
	struct peer *const client = client_with_stream(0);

	(void)state;
	assert_string_equal(send_text(client, "a"), "");
	assert_true(peer_hear_continue(client, 1, 1));
	assert_string_equal(peer_pull_all(client), "DATA 1 (a)\n");
	peer_free(client);
}

/* A stream that had its credit back, but nothing more to send. */
static void
continue_for_an_idle_stream_sends_nothing(void **state)
{
	struct peer *const client = client_with_stream(2);

	(void)state;
	send_text(client, "a");
	assert_true(peer_hear_continue(client, 1, 2));
	assert_string_equal(peer_pull_all(client), "");
	assert_string_equal(send_text(client, "b"), "DATA 1 (b)\n");
	peer_free(client);
}

static void
udp_and_servers_have_no_credit(void **state)
{
	struct peer *const client = peer_new_ready_client(1), *const server = server_with_stream(1, WISP_TCP);
	struct peer_stream *const udp = peer_open(client, WISP_UDP, "h");

	(void)state;
	peer_pull_all(client);
	for (int i = 0; i < 20; i++) {
		assert_string_equal(send_text(client, "up"), "DATA 1 (up)\n");
		assert_string_equal(send_text(server, "down"), "DATA 1 (down)\n");
	}
	assert_non_null(udp->stream);
	peer_free(client);
	peer_free(server);
}

/* ---- gathering ---- */

/* A client with a stream that has 2 of its 8 credits left, a quarter: at 3 it would not be short of them. */
static struct peer *
client_short_of_credit(void)
{
	struct peer *const client = client_with_stream(8);

	for (int i = 0; i < 6; i++)
		assert_string_equal(send_text(client, "a"), "DATA 1 (a)\n");
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	return client;
}

static void
crumbs_are_gathered_for_a_while(void **state)
{
	struct peer *const client = client_short_of_credit();

	(void)state;
	assert_string_equal(send_text(client, "b"), "");
	assert_false(wisp_session_pending(client->session));
	assert_int_equal(wisp_session_deadline_ms(client->session), client->now_ms + WISP_GATHER_MS);
	client->now_ms += WISP_GATHER_MS - 1;
	assert_string_equal(send_text(client, "c"), "");
	client->now_ms++;
	assert_string_equal(peer_pull_all(client), "DATA 1 (bc)\n");
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	/* And once more, for the last credit. */
	assert_string_equal(send_text(client, "d"), "");
	assert_int_equal(wisp_session_deadline_ms(client->session), client->now_ms + WISP_GATHER_MS);
	client->now_ms += 10 * WISP_GATHER_MS;
	assert_string_equal(peer_pull_all(client), "DATA 1 (d)\n");
	assert_string_equal(send_text(client, "e"), "");
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	peer_free(client);
}

static void
gathering_ends_with_enough_data(void **state)
{
	struct peer *const client = client_short_of_credit();

	(void)state;
	peer_write_bulk(peer_stream(client, 1), 16383);
	assert_string_equal(peer_pull_all(client), "");
	assert_string_equal(send_text(client, "1"), "DATA 1 [16384]\n");
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	/* As much at once does not wait at all. */
	peer_write_bulk(peer_stream(client, 1), 16384);
	assert_string_equal(peer_pull_all(client), "DATA 1 [16384]\n");
	peer_free(client);
}

static void
gathering_ends_with_new_credit(void **state)
{
	struct peer *const client = client_short_of_credit();

	(void)state;
	assert_string_equal(send_text(client, "b"), "");
	assert_true(peer_hear_continue(client, 1, 8));
	assert_true(wisp_session_pending(client->session));
	assert_string_equal(peer_pull_all(client), "DATA 1 (b)\n");
	peer_free(client);
}

static void
gathering_stream_may_lose_its_credit(void **state)
{
	struct peer *const client = client_short_of_credit();

	(void)state;
	assert_string_equal(send_text(client, "b"), "");
	assert_true(peer_hear_continue(client, 1, 0));
	client->now_ms += WISP_GATHER_MS;
	assert_string_equal(peer_pull_all(client), "");
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	assert_true(peer_hear_continue(client, 1, 8));
	assert_string_equal(peer_pull_all(client), "DATA 1 (b)\n");
	peer_free(client);
}

static void
gathering_ends_with_the_stream(void **state)
{
	struct peer *const client = client_short_of_credit();

	(void)state;
	assert_string_equal(send_text(client, "b"), "");
	peer_close(peer_stream(client, 1), WISP_REASON_VOLUNTARY);
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	client->now_ms += WISP_GATHER_MS;
	assert_string_equal(peer_pull_all(client), "CLOSE 1 0x02\n");
	peer_free(client);

	struct peer *const closed = client_short_of_credit();

	assert_string_equal(send_text(closed, "b"), "");
	assert_true(peer_hear_close(closed, 1, WISP_REASON_VOLUNTARY));
	assert_int_equal(wisp_session_deadline_ms(closed->session), 0);
	closed->now_ms += WISP_GATHER_MS;
	assert_string_equal(peer_pull_all(closed), "");
	peer_free(closed);
}

static void
streams_gather_each_for_itself(void **state)
{
	struct peer *const client = client_short_of_credit();
	struct peer_stream *const second = peer_open(client, WISP_TCP, "h");

	(void)state;
	peer_pull_all(client);
	assert_true(peer_hear_continue(client, 2, 1));
	assert_string_equal(send_text(client, "b"), "");
	client->now_ms += 5;
	peer_write_text(second, "c");
	assert_string_equal(peer_pull_all(client), "");
	client->now_ms += WISP_GATHER_MS - 5;
	assert_string_equal(peer_pull_all(client), "DATA 1 (b)\n");
	assert_int_equal(wisp_session_deadline_ms(client->session), client->now_ms + 5);
	client->now_ms += 5;
	assert_string_equal(peer_pull_all(client), "DATA 2 (c)\n");
	peer_free(client);
}

/* ---- short flows first ---- */

static void
expect_start(const char *text, const char *start)
{
	if (strncmp(text, start, strlen(start)) != 0)
		assert_string_equal(text, start);
}

static void
new_stream_goes_before_bulk(void **state)
{
	struct peer *const client = client_with_stream(UINT32_MAX);

	(void)state;
	peer_write_bulk(peer_stream(client, 1), 20 * ROOM);
	assert_string_equal(peer_pull(client, ROOM / 3), "DATA 1 [16384]\n");
	for (int i = 0; i < 5; i++)
		assert_string_equal(peer_pull(client, ROOM), "DATA 1 [65530]\n");
	peer_write_text(peer_open(client, WISP_TCP, "h"), "k");
	expect_start(peer_pull(client, 2 * ROOM), "CONNECT 2 tcp h 80\nDATA 2 (k)\nDATA 1 [65530]\nDATA 1 ");
	peer_free(client);
}

/* Each key pressed is in the next pull, before the bulk. */
static void
idle_stream_goes_before_bulk(void **state)
{
	struct peer *const client = client_with_stream(UINT32_MAX);
	struct peer_stream *const keys = peer_open(client, WISP_TCP, "h");

	(void)state;
	peer_pull_all(client);
	peer_write_bulk(peer_stream(client, 1), 200 * ROOM);
	peer_pull(client, ROOM);
	for (int i = 0; i < 100; i++) {
		peer_write_text(keys, "k");
		assert_string_equal(peer_pull(client, ROOM), "DATA 2 (k)\nDATA 1 [65530]\n");
		if (i % 3 == 0)
			peer_pull(client, ROOM);
	}
	peer_free(client);
}

#define STREAMS 3
#define PULLS 90

/* Streams that always have data get as much as each other, however little each of their reads gives. */
static void
bulk_streams_share(void **state)
{
	struct peer *const client = peer_new_ready_client(UINT32_MAX);
	size_t sent[STREAMS], total = 0;

	(void)state;
	for (int i = 0; i < STREAMS; i++)
		peer_write_bulk(peer_open(client, WISP_TCP, "h"), PULLS * ROOM);
	peer_stream(client, 3)->read_max = 1000;
	for (int i = 0; i < PULLS; i++)
		peer_pull(client, ROOM);
	for (int i = 0; i < STREAMS; i++) {
		sent[i] = peer_stream(client, (uint32_t)i + 1)->outgoing_at;
		total += sent[i];
	}
	assert_true(total > PULLS * (ROOM - 20000));
	for (int i = 0; i < STREAMS; i++)
		assert_between(sent[i], total / STREAMS - 2 * WISP_DATA_MAX, total / STREAMS + 2 * WISP_DATA_MAX);
	peer_free(client);
}

/* A stream with bulk that was blocked for a moment is no newcomer: one that is goes before it. */
static void
stream_with_new_credit_is_no_newcomer(void **state)
{
	struct peer *const client = client_with_stream(UINT32_MAX);

	(void)state;
	peer_write_bulk(peer_stream(client, 1), 10 * ROOM);
	assert_true(peer_hear_continue(client, 1, 1));
	assert_string_equal(peer_pull(client, ROOM), "DATA 1 [16384]\n");
	peer_write_bulk(peer_open(client, WISP_TCP, "h"), 10 * ROOM);
	expect_start(peer_pull(client, ROOM), "CONNECT 2 tcp h 80\nDATA 2 ");
	assert_true(peer_hear_continue(client, 1, UINT32_MAX));
	peer_write_text(peer_open(client, WISP_TCP, "h"), "new");
	expect_start(peer_pull(client, 3 * ROOM), "CONNECT 3 tcp h 80\nDATA 3 (new)\nDATA 1 [65530]\nDATA 2 [65530]\n");
	peer_free(client);
}

/* Streams are read when there is room, never before, and not again once they had nothing. */
static void
streams_are_read_only_when_pulled(void **state)
{
	struct peer *const client = client_with_stream(PEER_CREDIT);

	(void)state;
	peer_write_text(peer_stream(client, 1), "x");
	assert_int_equal(client->reads, 0);
	assert_string_equal(peer_pull_all(client), "DATA 1 (x)\n");
	assert_int_equal(client->reads, 2); /* the second found nothing */
	assert_string_equal(peer_pull_all(client), "");
	assert_int_equal(client->reads, 2);
	wisp_stream_ready(peer_stream(client, 1)->stream);
	assert_string_equal(peer_pull_all(client), "");
	assert_int_equal(client->reads, 3);
	peer_free(client);
}

/* A caller that is told "false" has to look after its source itself. */
static void
ready_says_whether_the_stream_will_be_read(void **state)
{
	struct peer *const client = client_with_stream(8), *const server = server_with_stream(8, WISP_TCP);
	struct wisp_stream *const stream = peer_stream(client, 1)->stream;

	(void)state;
	assert_true(wisp_stream_ready(peer_stream(server, 1)->stream));
	assert_true(wisp_stream_ready(stream));
	assert_true(wisp_stream_ready(stream));
	peer_write_text(peer_stream(client, 1), "x");
	peer_pull_all(client);
	/* Gathers, until it has enough. */
	assert_true(peer_hear_continue(client, 1, 1));
	peer_write_text(peer_stream(client, 1), "y");
	peer_pull_all(client);
	assert_false(wisp_stream_ready(stream));
	peer_write_bulk(peer_stream(client, 1), 20000);
	assert_true(wisp_stream_ready(stream));
	peer_pull_all(client);
	/* Without credit. */
	assert_false(wisp_stream_ready(stream));
	assert_true(peer_hear_continue(client, 1, 8));
	assert_true(wisp_stream_ready(stream));
	peer_free(client);
	peer_free(server);
}

/* ---- the server's credit ---- */

static size_t backlog;

static void
set_backlog(struct peer_stream *stream, enum peer_event event)
{
	if (event == PEER_DATA)
		wisp_stream_set_backlog(stream->stream, backlog);
}

/* Let a server with a credit of 8 hear packets, of which this much is left in its backlog. Returns what it says. */
static const char *
hear_packets(struct peer *server, int packets, size_t bytes)
{
	server->hook = set_backlog;
	backlog = bytes;
	for (int i = 0; i < packets; i++)
		assert_true(peer_hear_data(server, 1, "d"));
	return peer_pull_all(server);
}

/* Credit is said anew when there is a quarter more of it than the client knows, here 2 packets. */
static void
backlog_determines_credit(void **state)
{
	static const struct {
		int packets;
		size_t backlog;
		const char *says;
	} cases[] = {
		{1, 0, ""},
		{2, 0, "CONTINUE 1 8\n"},
		{5, 0, "CONTINUE 1 8\n"},
		{2, 1, ""},
		{3, 1, "CONTINUE 1 7\n"},
		{3, 65536, "CONTINUE 1 7\n"},
		{3, 65537, ""},
		{4, 65537, "CONTINUE 1 6\n"},
		{7, 4 * 65536, "CONTINUE 1 4\n"},
		{7, 5 * 65536, "CONTINUE 1 3\n"},
		{7, 6 * 65536, ""},
		{8, 6 * 65536, "CONTINUE 1 2\n"},
		{8, 7 * 65536, ""},
		{8, 8 * 65536, ""},
		{8, 100 * 65536, ""},
		/* A client that does not keep to its credit gains nothing. */
		{20, 6 * 65536, "CONTINUE 1 2\n"},
		{20, SIZE_MAX / 2, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer *const server = server_with_stream(8, WISP_TCP);

		assert_string_equal(hear_packets(server, cases[i].packets, cases[i].backlog), cases[i].says);
		peer_free(server);
	}
}

/* The backlog shrinks later on: credit is said then, as it stands when it is pulled, and once. */
static void
credit_comes_as_the_backlog_shrinks(void **state)
{
	struct peer *const server = server_with_stream(8, WISP_TCP);
	struct wisp_stream *stream;

	(void)state;
	/* More than it may send: that does not make its credit any less than none. */
	assert_string_equal(hear_packets(server, 20, 8 * 65536), "");
	stream = peer_stream(server, 1)->stream;
	wisp_stream_set_backlog(stream, 7 * 65536);
	assert_string_equal(peer_pull_all(server), "");
	wisp_stream_set_backlog(stream, 6 * 65536);
	wisp_stream_set_backlog(stream, 3 * 65536);
	assert_string_equal(peer_pull_all(server), "CONTINUE 1 5\n");
	wisp_stream_set_backlog(stream, 2 * 65536);
	assert_string_equal(peer_pull_all(server), "");
	wisp_stream_set_backlog(stream, 1);
	assert_string_equal(peer_pull_all(server), "CONTINUE 1 7\n");
	wisp_stream_set_backlog(stream, 0);
	assert_string_equal(peer_pull_all(server), "");
	peer_free(server);
}

static void
smallest_buffer_gives_credit_for_each_packet(void **state)
{
	struct peer *const server = server_with_stream(1, WISP_TCP);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_string_equal(hear_packets(server, 1, 0), "CONTINUE 1 1\n");
	assert_string_equal(hear_packets(server, 1, 1), "");
	wisp_stream_set_backlog(peer_stream(server, 1)->stream, 0);
	assert_string_equal(peer_pull_all(server), "CONTINUE 1 1\n");
	peer_free(server);
}

static void
no_credit_for_udp_nor_after_close(void **state)
{
	struct peer *const udp = server_with_stream(4, WISP_UDP), *const closed = server_with_stream(4, WISP_TCP);

	(void)state;
	assert_string_equal(hear_packets(udp, 20, 0), "");
	for (int i = 0; i < 4; i++)
		assert_true(peer_hear_data(closed, 1, "d"));
	assert_true(wisp_session_pending(closed->session));
	peer_close(peer_stream(closed, 1), WISP_REASON_VOLUNTARY);
	assert_string_equal(peer_pull_all(closed), "CLOSE 1 0x02\n");
	peer_free(udp);
	peer_free(closed);
}

/* Back to back: a client with a lot to send never stops for good, and never sends more than it may. */
static void
credit_flows_between_two_sessions(void **state)
{
	static const uint32_t credits[] = {1, 2, 3, 4, 5, 8, 128};

	(void)state;
	for (size_t i = 0; i < COUNT(credits); i++) {
		struct peer *const client = peer_new_client(WISP_VERSION_AUTO);
		struct peer *const server = peer_new_server(1 + i % 2, credits[i], 5);
		struct peer_stream *stream;

		peer_exchange(client, server, 0, ROOM);
		stream = peer_open(client, WISP_TCP, "h");
		peer_write_bulk(stream, 2000000);
		peer_exchange(client, server, 2, ROOM);
		assert_int_equal(peer_stream(server, 1)->received.n, 2000000);
		peer_free(client);
		peer_free(server);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_and_data_leave_together),
		cmocka_unit_test(urgent_things_go_first),
		cmocka_unit_test(packets_go_out_in_order_through_small_pulls),
		cmocka_unit_test(packets_have_a_largest_size),
		cmocka_unit_test(pull_needs_a_least_room),
		cmocka_unit_test(pulls_of_any_size_work),
		cmocka_unit_test(each_frame_has_its_own_key),
		cmocka_unit_test(credit_is_never_exceeded),
		cmocka_unit_test(continue_replaces_credit),
		cmocka_unit_test(stream_without_credit_does_not_stop_others),
		cmocka_unit_test(initial_credit_may_be_zero),
		cmocka_unit_test(continue_for_an_idle_stream_sends_nothing),
		cmocka_unit_test(udp_and_servers_have_no_credit),
		cmocka_unit_test(crumbs_are_gathered_for_a_while),
		cmocka_unit_test(gathering_ends_with_enough_data),
		cmocka_unit_test(gathering_ends_with_new_credit),
		cmocka_unit_test(gathering_stream_may_lose_its_credit),
		cmocka_unit_test(gathering_ends_with_the_stream),
		cmocka_unit_test(streams_gather_each_for_itself),
		cmocka_unit_test(new_stream_goes_before_bulk),
		cmocka_unit_test(idle_stream_goes_before_bulk),
		cmocka_unit_test(bulk_streams_share),
		cmocka_unit_test(stream_with_new_credit_is_no_newcomer),
		cmocka_unit_test(streams_are_read_only_when_pulled),
		cmocka_unit_test(ready_says_whether_the_stream_will_be_read),
		cmocka_unit_test(backlog_determines_credit),
		cmocka_unit_test(credit_comes_as_the_backlog_shrinks),
		cmocka_unit_test(smallest_buffer_gives_credit_for_each_packet),
		cmocka_unit_test(no_credit_for_udp_nor_after_close),
		cmocka_unit_test(credit_flows_between_two_sessions),
	};

	return cmocka_run_group_tests_name("session_pull", tests, NULL, NULL);
}
