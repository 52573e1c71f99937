/* Streams of a session: their data, how they open and close, and what their callbacks may do. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "session_private.h"

/* The splits of what sessions say to one another: fewer than for decoders, as each goes through whole sessions. */
#define SESSION_SPLITS 24

static const size_t pull_sizes[] = {WISP_PULL_MIN, 5000, 70000, 1 << 20};

/* ---- streams: data ---- */

static void
expect_received(const struct peer_stream *to, const struct buffer *data)
{
	assert_int_equal(to->received.n, data->n);
	if (data->n > 0)
		assert_memory_equal(to->received.p, data->p, data->n);
}

/* Send n bytes from one side's stream to the other's, which gets just these. */
static void
check_transfer(struct peer *from, struct peer *to, size_t n, unsigned split, size_t pull_size)
{
	struct peer_stream *const source = peer_stream(from, 1), *const sink = peer_stream(to, 1);
	struct buffer data = {0};

	peer_write_bulk(source, n);
	buffer_put(&data, source->outgoing.p, source->outgoing.n);
	buffer_clear(&sink->received);
	peer_exchange(from, to, split, pull_size);
	expect_received(sink, &data);
	assert_int_equal(source->outgoing.n, 0);
	buffer_free(&data);
}

static void
data_arrives_in_both_directions(void **state)
{
	static const size_t sizes[] = {1, 125, 126, 1000, 16384, WISP_DATA_MAX, WISP_DATA_MAX + 1, 200000};

	(void)state;
	for (unsigned i = 0; i < 2 * SESSION_SPLITS; i++) {
		struct peer *const client = peer_new_client(WISP_VERSION_AUTO);
		struct peer *const server = peer_new_server(1 + i % 2, PEER_CREDIT, 10);
		const unsigned split = i / 2;
		/* Bytes in small pieces take long: the largest sizes do without them. */
		const size_t count = split == 1 ? COUNT(sizes) - 4 : COUNT(sizes);

		peer_exchange(client, server, split, 4096);
		peer_open(client, WISP_TCP, "wisp.example");
		peer_exchange(client, server, split, 4096);
		for (size_t k = 0; k < count; k++) {
			check_transfer(client, server, sizes[k], split, pull_sizes[k % COUNT(pull_sizes)]);
			check_transfer(server, client, sizes[k], split, pull_sizes[(k + i) % COUNT(pull_sizes)]);
		}
		peer_free(client);
		peer_free(server);
	}
}

/* A packet of many fragments is one packet, and an empty one is one too. */
static void
packets_are_counted_by_their_ends(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);
	const struct peer_stream *const stream = peer_stream(peer, 1);

	(void)state;
	assert_true(peer_hear(peer, BYTES("\x02\x06\x02\x01\x00\x00\x00"
					  "a\x00\x01"
					  "b\x00\x00\x80\x01"
					  "c")));
	assert_int_equal(stream->received_packets, 1);
	assert_true(peer_hear_data(peer, 1, ""));
	assert_int_equal(stream->received_packets, 2);
	assert_int_equal(stream->received.n, 3);
	peer_free(peer);
}

static void
packets_of_unknown_streams_are_ignored(void **state)
{
	(void)state;
	for (int client = 0; client < 2; client++) {
		struct peer *const peer = peer_new_with_stream(client);

		assert_true(peer_hear_data(peer, 2, "data"));
		assert_true(peer_hear_continue(peer, 2, 5));
		assert_true(peer_hear_close(peer, 2, WISP_REASON_VOLUNTARY));
		assert_true(peer_hear_message(peer, BYTES("\x05\x02\x00\x00\x00\x02\x00")));
		assert_true(peer_hear_continue(peer, WISP_CONNECTION, 5));
		assert_string_equal(peer_events(peer), "");
		assert_string_equal(peer_pull_all(peer), "");
		peer_free(peer);
	}
}

/* ---- streams: opening ---- */

static void
streams_need_a_handshake_and_a_host(void **state)
{
	struct peer *const peer = peer_new_client(WISP_VERSION_AUTO);
	char host[WISP_HOST_MAX + 2];
	struct wisp_destination destination = {WISP_TCP, 80, host, WISP_HOST_MAX};

	(void)state;
	memset(host, 'h', sizeof host);
	host[WISP_HOST_MAX] = '\0';
	assert_null(wisp_stream_open(peer->session, &destination, NULL, peer));
	assert_true(peer_hear_continue(peer, WISP_CONNECTION, 128));
	destination.host_size = 0;
	assert_null(wisp_stream_open(peer->session, &destination, NULL, peer));
	destination.host_size = WISP_HOST_MAX + 1;
	assert_null(wisp_stream_open(peer->session, &destination, NULL, peer));
	assert_int_equal(wisp_session_stream_count(peer->session), 0);
	peer_open(peer, WISP_TCP, host);
	peer_open(peer, WISP_UDP, "h");
	memset(host, 'x', sizeof host); /* it has been copied */
	assert_memory_equal(peer_pull_all(peer), "CONNECT 1 tcp hhhh", 18);
	assert_non_null(strstr(peer_log(peer), "hhhh 80\nCONNECT 2 udp h 80\n"));
	peer_free(peer);
}

/* Ids begin again after four billion streams: 0 is none, and those in use are left out. */
static void
ids_begin_again(void **state)
{
	struct peer *const peer = peer_new_ready_client(PEER_CREDIT);

	(void)state;
	assert_int_equal(peer_open(peer, WISP_TCP, "h")->id, 1);
	peer->session->next_id = UINT32_MAX - 1;
	assert_int_equal(peer_open(peer, WISP_TCP, "h")->id, UINT32_MAX - 1);
	assert_int_equal(peer_open(peer, WISP_TCP, "h")->id, UINT32_MAX);
	assert_int_equal(peer_open(peer, WISP_TCP, "h")->id, 2);
	assert_int_equal(wisp_session_stream_count(peer->session), 4);
	peer_free(peer);
}

/* Let a server hear a CONNECT for stream 1, and return what it says to it. */
static const char *
answer_to_connect(struct peer *server, uint8_t type, uint16_t port, const char *host, size_t host_size)
{
	const struct wisp_destination destination = {(enum wisp_stream_type)type, port, host, host_size};
	uint8_t p[1024];

	assert_true(peer_hear_message(server, p, wisp_packet_connect(p, 1, &destination)));
	return peer_pull_all(server);
}

static void
invalid_destinations_are_refused(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t port;
		const uint8_t *host;
		size_t n;
	} cases[] = {
		{0, 80, BYTES("h")},
		{3, 80, BYTES("h")},
		{0xff, 80, BYTES("h")},
		{WISP_TCP, 0, BYTES("h")},
		{WISP_TCP, 80, BYTES("")},
		{WISP_TCP, 80, BYTES(" h")},
		{WISP_TCP, 80, BYTES("h h")},
		{WISP_TCP, 80, BYTES("h\n")},
		{WISP_TCP, 80, BYTES("h\x00")},
		{WISP_TCP, 80, BYTES("\x1fh")},
		{WISP_TCP, 80, BYTES("h\x7fh")},
		{WISP_UDP, 0, BYTES("h")},
	};
	struct peer *const server = peer_new_ready_server(PEER_CREDIT, 10);
	char host[WISP_HOST_MAX + 1];

	(void)state;
	memset(host, 'h', sizeof host);
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(answer_to_connect(server, cases[i].type, cases[i].port, (const char *)cases[i].host,
					    cases[i].n),
			"CLOSE 1 0x41\n");
	assert_string_equal(answer_to_connect(server, WISP_TCP, 80, host, WISP_HOST_MAX + 1), "CLOSE 1 0x41\n");
	assert_string_equal(peer_events(server), "");
	assert_int_equal(wisp_session_stream_count(server->session), 0);
	peer_free(server);
}

static void
valid_destinations_are_opened(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t port;
		const char *host;
		const char *event;
	} cases[] = {
		{WISP_TCP, 1, "h", "open 1 tcp h 1\n"},
		{WISP_UDP, 65535, "h", "open 1 udp h 65535\n"},
		{WISP_TCP, 443, "2001:db8::1", "open 1 tcp 2001:db8::1 443\n"},
		{WISP_TCP, 80, "b\xc3\xbc!.example~", "open 1 tcp b\\xc3\\xbc!.example~ 80\n"},
	};
	struct peer *const server = peer_new_ready_server(PEER_CREDIT, 10);
	char host[WISP_HOST_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_string_equal(
			answer_to_connect(server, cases[i].type, cases[i].port, cases[i].host, strlen(cases[i].host)),
			"");
		assert_string_equal(peer_events(server), cases[i].event);
		assert_true(peer_hear_close(server, 1, WISP_REASON_VOLUNTARY));
		assert_string_equal(peer_events(server), "closed 1 0x02\n");
	}
	memset(host, 'h', sizeof host);
	assert_string_equal(answer_to_connect(server, WISP_TCP, 80, host, WISP_HOST_MAX), "");
	assert_int_equal(wisp_session_stream_count(server->session), 1);
	peer_free(server);
}

static void
streams_have_a_limit(void **state)
{
	struct peer *const server = peer_new_ready_server(PEER_CREDIT, 2);

	(void)state;
	assert_true(peer_hear_connect(server, 1, "h"));
	assert_true(peer_hear_connect(server, 2, "h"));
	assert_string_equal(peer_events(server), "open 1 tcp h 80\nopen 2 tcp h 80\n");
	/* As long as the refusals are taken, there may be any number of them. */
	for (uint32_t id = 3; id < 100; id++) {
		assert_true(peer_hear_connect(server, id, "h"));
		assert_int_equal(wisp_session_stream_count(server->session), 3);
		assert_non_null(strstr(peer_pull_all(server), "0x49\n"));
	}
	assert_string_equal(peer_events(server), "");
	assert_true(peer_hear_close(server, 1, WISP_REASON_VOLUNTARY));
	assert_true(peer_hear_connect(server, 100, "h"));
	assert_string_equal(peer_events(server), "closed 1 0x02\nopen 100 tcp h 80\n");
	peer_free(server);
}

/* Write the frames of CONNECTs with the ids from first on, `count` of them, each of CONNECT_FRAME_SIZE bytes. */
#define CONNECT_FRAME_SIZE (2 + WISP_MASK_SIZE + WISP_PACKET_HEADER_SIZE + WISP_CONNECT_HEADER_SIZE + 1)

static void
write_connects(uint8_t *p, uint32_t first, size_t count)
{
	static const uint8_t key[WISP_MASK_SIZE] = {1, 2, 3, 4};
	static const struct wisp_destination destination = {WISP_TCP, 80, "h", 1};

	for (uint32_t id = first; id < first + count; id++, p += CONNECT_FRAME_SIZE) {
		const size_t n = wisp_packet_connect(p + 2 + WISP_MASK_SIZE, id, &destination);

		assert_ptr_equal(wisp_frame_encode(p + 2 + WISP_MASK_SIZE, n, WISP_OPCODE_BINARY, key), p);
	}
}

/* A client that does not take its refusals is not listened to, and loses nothing by it. */
static void
refusals_may_wait_in_limited_number(void **state)
{
	enum {
		CONNECTS = 2000,
		STREAMS = 2
	};
	struct peer *const server = peer_new_ready_server(PEER_CREDIT, STREAMS);
	uint8_t *const p = must_alloc((size_t)CONNECTS * CONNECT_FRAME_SIZE);
	size_t n = (size_t)CONNECTS * CONNECT_FRAME_SIZE, left, refused = 0;

	(void)state;
	write_connects(p, 1, CONNECTS);
	assert_true(wisp_session_takes(server->session));
	assert_true(wisp_session_feed(server->session, p, n));
	left = wisp_session_untaken(server->session);
	assert_int_equal(left, n - (STREAMS + WISP_CLOSES_MAX) * (size_t)CONNECT_FRAME_SIZE);
	assert_int_equal(wisp_session_stream_count(server->session), STREAMS + WISP_CLOSES_MAX);
	while (left > 0) {
		assert_false(wisp_session_takes(server->session));
		assert_true(wisp_session_feed(server->session, p + n - left, left));
		assert_int_equal(wisp_session_untaken(server->session), left);
		while (!wisp_session_takes(server->session))
			assert_string_not_equal(peer_pull(server, WISP_PULL_MIN), "");
		assert_true(wisp_session_feed(server->session, p + n - left, left));
		assert_true(wisp_session_untaken(server->session) < left);
		left = wisp_session_untaken(server->session);
	}
	peer_pull_all(server);
	for (const char *at = peer_log(server); (at = strstr(at, "0x49\n")) != NULL; at++)
		refused++;
	assert_int_equal(refused, CONNECTS - STREAMS);
	assert_int_equal(wisp_session_stream_count(server->session), STREAMS);
	free(p);
	peer_free(server);
}

/* So are those of streams that were taken first, as of destinations that cannot be reached. */
static void
closes_of_any_kind_may_wait_in_limited_number(void **state)
{
	struct peer *const server = peer_new_ready_server(PEER_CREDIT, 2 * WISP_CLOSES_MAX);
	uint8_t ping[] = {0x89, 0x80, 0, 0, 0, 0};

	(void)state;
	for (uint32_t id = 1; id <= WISP_CLOSES_MAX; id++)
		assert_true(peer_hear_connect(server, id, "h"));
	for (uint32_t id = 1; id <= WISP_CLOSES_MAX; id++)
		peer_close(peer_stream(server, id), WISP_REASON_UNREACHABLE);
	assert_false(wisp_session_takes(server->session));
	assert_true(wisp_session_feed(server->session, ping, sizeof ping));
	assert_int_equal(wisp_session_untaken(server->session), sizeof ping);
	peer_pull_all(server);
	assert_true(wisp_session_takes(server->session));
	assert_true(wisp_session_feed(server->session, ping, sizeof ping));
	assert_string_equal(peer_pull_all(server), "PONG ()\n");
	peer_free(server);
}

/* ---- streams: closing ---- */

static void
close_is_told_to_the_other_side(void **state)
{
	(void)state;
	for (int client = 0; client < 2; client++) {
		struct peer *const peer = peer_new_with_stream(client);

		peer_write_text(peer_stream(peer, 1), "what has not been pulled is dropped");
		peer_close(peer_stream(peer, 1), WISP_REASON_CLIENT_ERROR);
		assert_int_equal(wisp_session_stream_count(peer->session), 1);
		/* These crossed the CLOSE. */
		assert_true(peer_hear_data(peer, 1, "late"));
		assert_true(peer_hear_continue(peer, 1, 9));
		assert_string_equal(peer_pull_all(peer), "CLOSE 1 0x81\n");
		assert_int_equal(wisp_session_stream_count(peer->session), 0);
		assert_true(peer_hear_data(peer, 1, "later"));
		assert_true(peer_hear_close(peer, 1, WISP_REASON_VOLUNTARY));
		assert_string_equal(peer_events(peer), "");
		assert_int_equal(peer_stream(peer, 1)->received.n, 0);
		assert_string_equal(peer_pull_all(peer), "");
		peer_free(peer);
	}
}

static void
close_from_the_other_side_is_told_once(void **state)
{
	(void)state;
	for (int client = 0; client < 2; client++) {
		struct peer *const peer = peer_new_with_stream(client);

		peer_write_text(peer_stream(peer, 1), "what has not been pulled is dropped");
		assert_true(peer_hear_data(peer, 1, "last words"));
		assert_true(peer_hear_close(peer, 1, WISP_REASON_REFUSED));
		assert_string_equal(peer_events(peer), "closed 1 0x44\n");
		assert_string_equal(buffer_text(&peer_stream(peer, 1)->received), "last words");
		assert_true(peer_hear_close(peer, 1, WISP_REASON_REFUSED));
		assert_string_equal(peer_events(peer), "");
		assert_string_equal(peer_pull_all(peer), "");
		assert_int_equal(wisp_session_stream_count(peer->session), 0);
		peer_free(peer);
	}
}

/* Both close at once: neither is told, and neither CLOSE is answered. */
static void
closes_may_cross(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);

	(void)state;
	peer_close(peer_stream(peer, 1), WISP_REASON_VOLUNTARY);
	assert_true(peer_hear_close(peer, 1, WISP_REASON_VOLUNTARY));
	assert_string_equal(peer_events(peer), "");
	assert_string_equal(peer_pull_all(peer), "");
	assert_int_equal(wisp_session_stream_count(peer->session), 0);
	peer_free(peer);
}

static void
close_before_connect_was_pulled_says_nothing(void **state)
{
	struct peer *const peer = peer_new_ready_client(PEER_CREDIT);
	struct peer_stream *const first = peer_open(peer, WISP_TCP, "first");

	(void)state;
	peer_open(peer, WISP_TCP, "second");
	peer_write_text(first, "data");
	peer_close(first, WISP_REASON_VOLUNTARY);
	assert_string_equal(peer_pull_all(peer), "CONNECT 2 tcp second 80\n");
	assert_int_equal(wisp_session_stream_count(peer->session), 1);
	peer_free(peer);
}

/* A server that cannot connect says so, and has its CLOSE pulled before the id is free again. */
static void
server_may_close_at_once(void **state)
{
	struct peer *const server = peer_new_with_stream(false);

	(void)state;
	peer_close(peer_stream(server, 1), WISP_REASON_UNREACHABLE);
	assert_string_equal(peer_pull_all(server), "CLOSE 1 0x42\n");
	assert_true(peer_hear_connect(server, 1, "again"));
	assert_string_equal(peer_events(server), "open 1 tcp again 80\n");
	peer_free(server);
}

static void
free_tells_each_stream(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);

	(void)state;
	peer_open(peer, WISP_TCP, "unsent");
	peer_open(peer, WISP_UDP, "u");
	peer_close(peer_open(peer, WISP_TCP, "closed"), WISP_REASON_VOLUNTARY);
	peer_end(peer);
	assert_string_equal(peer_events(peer), "closed 1 0x03\nclosed 2 0x03\nclosed 3 0x03\n");
	wisp_session_free(NULL);
	peer_free(peer);
}

/* ---- what callbacks may do ---- */

/* What a hook does, once, in a callback of stream 1. */
enum action {
	CLOSE_SELF,
	CLOSE_OTHERS,
	CLOSE_ALL,
	READY_ALL,
	END_ALL,      /* the data */
	OPEN_ANOTHER, /* clients only */
	SHUT_DOWN,
	ACTIONS,
};

struct plan {
	enum peer_event event;
	enum action action;
	bool done;
};

static void
act_on(struct peer_stream *self, struct peer_stream *stream, const struct plan *plan)
{
	/* A stream that is over is gone when its callback returns: this callback is too late for it. */
	const bool over = stream->stream == NULL || (plan->event == PEER_CLOSED && stream == self);

	if (over)
		return;
	if (plan->action == READY_ALL)
		wisp_stream_ready(stream->stream);
	else if (plan->action == END_ALL)
		wisp_stream_end(stream->stream);
	else if (plan->action == CLOSE_ALL || (plan->action == CLOSE_SELF) == (stream == self))
		peer_close(stream, WISP_REASON_VOLUNTARY);
}

static void
act(struct peer_stream *self, enum peer_event event)
{
	struct peer *const peer = self->peer;
	struct plan *const plan = peer->hook_arg;
	struct peer_stream *stream;

	if (plan->done || event != plan->event || self->id != 1)
		return;
	plan->done = true;
	if (plan->action == OPEN_ANOTHER) {
		if (peer->client)
			peer_write_text(peer_open(peer, WISP_TCP, "another"), "more");
		return;
	}
	if (plan->action == SHUT_DOWN) {
		wisp_session_shutdown(peer->session, WISP_WS_NORMAL);
		return;
	}
	TAILQ_FOREACH (stream, &peer->streams, entry) {
		act_on(self, stream, plan);
	}
}

/* Three streams with data both ways, in whose course one side does what is planned. The sanitizers look on. */
static void
run_plan(struct plan *plan, bool at_client)
{
	struct peer *const client = peer_new_client(WISP_VERSION_AUTO), *const server = peer_new_server(2, 4, 10);
	struct peer *const actor = at_client ? client : server;

	peer_exchange(client, server, 2, 4096);
	actor->hook = act;
	actor->hook_arg = plan;
	for (int i = 0; i < 3; i++) {
		struct peer_stream *const stream = peer_open(client, WISP_TCP, "host");

		stream->read_max = 1000; /* so that it comes to be short of credit */
		peer_write_bulk(stream, 30000);
	}
	peer_exchange(client, server, 2, 70000);
	for (uint32_t id = 1; id <= 3; id++) {
		struct peer_stream *const up = peer_stream(client, id), *const down = peer_stream(server, id);

		/* Which of them are over depends on the plan. A server that closed before it read has no stream. */
		if (down == NULL || down->stream == NULL)
			continue;
		peer_write_bulk(down, 100000);
		if (id == 1 && plan->event == PEER_CLOSED && up->stream != NULL)
			peer_close(at_client ? down : up, WISP_REASON_VOLUNTARY);
		if (id == 1 && plan->event == PEER_ENDED && up->stream != NULL)
			wisp_stream_end(at_client ? down->stream : up->stream);
		peer_exchange(client, server, 3, 70000);
		assert_int_equal(up->stream == NULL, down->stream == NULL);
	}
	peer_free(client);
	peer_free(server);
}

static void
callbacks_may_do_anything_to_streams(void **state)
{
	(void)state;
	for (int event = 0; event <= PEER_CLOSED; event++) {
		for (int action = 0; action < ACTIONS; action++) {
			struct plan plans[2] = {{(enum peer_event)event, (enum action)action, false}};

			plans[1] = plans[0];
			/* Closing a stream while it is asked what it has: see the last tests. */
			if (event == PEER_AVAILABLE && (action == CLOSE_SELF || action == CLOSE_ALL))
				continue;
			run_plan(&plans[0], true);
			run_plan(&plans[1], false);
			assert_int_equal(plans[0].done, event != PEER_OPEN);
			assert_int_equal(plans[1].done, event != PEER_GRANTED && event != PEER_AVAILABLE);
		}
	}
}

static void
close_as_it_is_read(struct peer_stream *stream, enum peer_event event)
{
	if (event == PEER_READ)
		peer_close(stream, WISP_REASON_VOLUNTARY);
}

/* What `read` gave for a stream that it closed is dropped. */
static void
closed_stream_sends_no_more_data(void **state)
{
	static const char *const texts[] = {"", "dropped"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct peer *const peer = peer_new_with_stream(true);

		peer_write_text(peer_stream(peer, 1), texts[i]);
		peer->hook = close_as_it_is_read;
		assert_string_equal(peer_pull_all(peer), "CLOSE 1 0x02\n");
		assert_int_equal(peer->reads, 1);
		assert_false(wisp_session_pending(peer->session));
		peer_free(peer);
	}
}

static void
close_others(struct peer_stream *self, enum peer_event event)
{
	struct peer_stream *stream;

	if (event != PEER_CLOSED)
		return;
	TAILQ_FOREACH (stream, &self->peer->streams, entry) {
		if (stream != self && stream->stream != NULL)
			peer_close(stream, WISP_REASON_VOLUNTARY);
	}
}

static void
streams_may_be_closed_while_the_session_is_freed(void **state)
{
	struct peer *const peer = peer_new_ready_client(PEER_CREDIT);

	(void)state;
	for (int i = 0; i < 5; i++)
		peer_write_text(peer_open(peer, WISP_TCP, "h"), "data");
	peer->hook = close_others;
	peer_end(peer);
	assert_string_equal(peer_events(peer), "closed 1 0x03\n");
	peer_free(peer);
}

static void
use_stream(struct peer_stream *stream, enum peer_event event)
{
	if (event != PEER_CLOSED)
		return;
	assert_int_equal(wisp_stream_id(stream->stream), stream->id);
	assert_false(wisp_stream_ready(stream->stream));
	wisp_stream_set_backlog(stream->stream, 0);
	wisp_stream_close(stream->stream, WISP_REASON_VOLUNTARY);
}

/* "The stream is gone when this returns", says session.h of `closed`: so it is not yet gone in the callback. */
static void
stream_may_be_used_while_it_is_told_closed(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);

	(void)state;
	peer_open(peer, WISP_TCP, "freed with the session");
	peer_pull_all(peer);
	peer->hook = use_stream;
	assert_true(peer_hear_close(peer, 1, WISP_REASON_VOLUNTARY));
	assert_int_equal(wisp_session_stream_count(peer->session), 1);
	assert_string_equal(peer_pull_all(peer), "");
	peer_end(peer);
	assert_string_equal(peer_events(peer), "closed 1 0x02\nclosed 2 0x03\n");
	peer_free(peer);
}

/* ---- callbacks at the edge of what is allowed ---- */

static void
open_again(struct peer_stream *stream, enum peer_event event)
{
	const struct wisp_destination destination = {WISP_TCP, 80, "h", 1};
	unsigned *const opened = stream->peer->hook_arg;
	struct wisp_stream *again;

	if (event != PEER_CLOSED)
		return;
	again = wisp_stream_open(stream->peer->session, &destination, NULL, stream);
	if (again == NULL)
		return;
	(*opened)++;
	wisp_stream_close(again, WISP_REASON_VOLUNTARY); /* so that the test fails instead of hanging */
}

/* A session that is being freed takes no new streams, or a callback that tries again would keep it for ever. */
static void
no_stream_is_opened_while_the_session_is_freed(void **state)
{
	struct peer *const peer = peer_new_with_stream(true);
	unsigned opened = 0, wakes;

	(void)state;
	wakes = peer->wakes;
	peer->hook = open_again;
	peer->hook_arg = &opened;
	peer_end(peer);
	assert_int_equal(opened, 0);
	assert_int_equal(peer->wakes, wakes); /* it would wake for a session that is gone */
	peer_free(peer);
}

static void
close_when_asked(struct peer_stream *stream, enum peer_event event)
{
	if (event == PEER_AVAILABLE && stream->stream != NULL)
		peer_close(stream, WISP_REASON_VOLUNTARY);
}

/* Any callback may close any stream: one that is closed as it is asked what it has is not read after that. */
static void
stream_may_be_closed_while_it_is_asked_what_it_has(void **state)
{
	(void)state;
	/* Little data is gathered, much is not. */
	for (size_t n = 1; n < 100000; n += 50000) {
		struct peer *const peer = peer_new_ready_client(4);
		struct peer_stream *const stream = peer_open(peer, WISP_TCP, "h");

		assert_true(peer_hear_continue(peer, 1, 1));
		peer_write_bulk(stream, n);
		peer->hook = close_when_asked;
		assert_string_equal(peer_pull_all(peer), "CONNECT 1 tcp h 80\nCLOSE 1 0x02\n");
		assert_int_equal(wisp_session_stream_count(peer->session), 0);
		assert_int_equal(peer->reads, 0);
		peer_free(peer);
	}
}

static void
nobody_needs_to_hear_of_credit(void **state)
{
	static const struct wisp_stream_callbacks callbacks = {0};
	const struct wisp_destination destination = {WISP_TCP, 80, "host", 4};
	struct peer *const client = peer_new_ready_client(PEER_CREDIT);
	struct wisp_stream *const stream = wisp_stream_open(client->session, &destination, &callbacks, NULL);

	(void)state;
	assert_non_null(stream);
	assert_string_equal(peer_pull_all(client), "CONNECT 1 tcp host 80\n");
	assert_true(peer_hear_continue(client, 1, 5));
	wisp_stream_close(stream, WISP_REASON_VOLUNTARY);
	assert_string_equal(peer_pull_all(client), "CLOSE 1 0x02\n");
	peer_free(client);
}

/* Also as the stream is asked whether it has enough now. */
static void
stream_may_be_closed_while_it_gathers(void **state)
{
	struct peer *const client = peer_new_ready_client(4);
	struct peer_stream *const stream = peer_open(client, WISP_TCP, "h");
	struct wisp_stream *const wisp_stream = stream->stream;

	(void)state;
	assert_true(peer_hear_continue(client, 1, 1));
	peer_write_text(stream, "crumb");
	assert_string_equal(peer_pull_all(client), "CONNECT 1 tcp h 80\n");
	client->hook = close_when_asked;
	assert_false(wisp_stream_ready(wisp_stream));
	assert_string_equal(peer_pull_all(client), "CLOSE 1 0x02\n");
	assert_int_equal(wisp_session_deadline_ms(client->session), 0);
	peer_free(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_arrives_in_both_directions),
		cmocka_unit_test(packets_are_counted_by_their_ends),
		cmocka_unit_test(packets_of_unknown_streams_are_ignored),
		cmocka_unit_test(streams_need_a_handshake_and_a_host),
		cmocka_unit_test(ids_begin_again),
		cmocka_unit_test(invalid_destinations_are_refused),
		cmocka_unit_test(valid_destinations_are_opened),
		cmocka_unit_test(streams_have_a_limit),
		cmocka_unit_test(refusals_may_wait_in_limited_number),
		cmocka_unit_test(closes_of_any_kind_may_wait_in_limited_number),
		cmocka_unit_test(close_is_told_to_the_other_side),
		cmocka_unit_test(close_from_the_other_side_is_told_once),
		cmocka_unit_test(closes_may_cross),
		cmocka_unit_test(close_before_connect_was_pulled_says_nothing),
		cmocka_unit_test(server_may_close_at_once),
		cmocka_unit_test(free_tells_each_stream),
		cmocka_unit_test(callbacks_may_do_anything_to_streams),
		cmocka_unit_test(closed_stream_sends_no_more_data),
		cmocka_unit_test(streams_may_be_closed_while_the_session_is_freed),
		cmocka_unit_test(stream_may_be_used_while_it_is_told_closed),
		cmocka_unit_test(no_stream_is_opened_while_the_session_is_freed),
		cmocka_unit_test(stream_may_be_closed_while_it_is_asked_what_it_has),
		cmocka_unit_test(stream_may_be_closed_while_it_gathers),
		cmocka_unit_test(nobody_needs_to_hear_of_credit),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
