/* UDP streams: each datagram arrives as one, whole, or not at all, and none of them costs credit. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define SPLITS_TRIED 12

/* ---- two ends ---- */

struct link {
	struct peer *client, *server;
};

/* A client and a server that have agreed on UDP, with streams 1 and 2, both UDP. */
static struct link
link_new(uint8_t version)
{
	struct link link = {peer_new_client(WISP_VERSION_AUTO), peer_new_server(version, 4, 10)};

	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	peer_open(link.client, WISP_UDP, "one");
	peer_open(link.client, WISP_UDP, "two");
	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	return link;
}

static void
link_free(struct link *link)
{
	peer_free(link->client);
	peer_free(link->server);
}

/* A client of the above without its server, or the server without its client. */
static struct peer *
end_new(bool client)
{
	struct link link = link_new(2);

	peer_free(client ? link.server : link.client);
	peer_events(client ? link.client : link.server);
	return client ? link.client : link.server;
}

static void
write_datagram(struct peer_stream *stream, size_t n)
{
	peer_write_bulk(stream, n);
}

/* What arrived is these sizes, and the bytes that were written. */
static void
expect_received(const struct peer_stream *to, const char *sizes, const struct buffer *bytes)
{
	struct buffer received_sizes = to->received_sizes;

	assert_string_equal(buffer_text(&received_sizes), sizes);
	assert_int_equal(to->received.n, bytes->n);
	if (bytes->n > 0)
		assert_memory_equal(to->received.p, bytes->p, bytes->n);
}

/* ---- sizes ---- */

static const size_t sizes[] = {0, 1, 125, 126, 127, 16379, 16384, 0, 0, 65507, 65529, 65530, 65531, 65535, 3};
#define SIZES "0 1 125 126 127 16379 16384 0 0 65507 65529 65530 65531 65535 3 "

static void
copy_outgoing(struct buffer *copy, const struct peer_stream *stream)
{
	buffer_clear(copy);
	buffer_put(copy, stream->outgoing.p + stream->outgoing_at, stream->outgoing.n - stream->outgoing_at);
}

/* Both ways at once, in pulls with exactly the room that there has to be, or with more. */
static void
exchange_sizes(uint8_t version, unsigned split, size_t room)
{
	struct link link = link_new(version);
	struct peer_stream *const up = peer_stream(link.client, 1), *const down = peer_stream(link.server, 1);
	struct buffer up_bytes = {0}, down_bytes = {0};

	for (size_t i = 0; i < COUNT(sizes); i++) {
		write_datagram(up, sizes[i]);
		write_datagram(down, sizes[COUNT(sizes) - 1 - i]);
	}
	copy_outgoing(&up_bytes, up);
	copy_outgoing(&down_bytes, down);
	peer_exchange(link.client, link.server, split, room);
	expect_received(down, SIZES, &up_bytes);
	expect_received(up, "3 65535 65531 65530 65529 65507 0 0 16384 16379 127 126 125 1 0 ", &down_bytes);
	buffer_free(&up_bytes);
	buffer_free(&down_bytes);
	link_free(&link);
}

static void
datagrams_of_each_size_arrive_whole(void **state)
{
	(void)state;
	for (unsigned split = 0; split < SPLITS_TRIED; split++)
		exchange_sizes(1 + split % 2, split, split % 3 == 0 ? 1 << 20 : WISP_PULL_ROOM);
}

/* Several in one frame's worth of bytes: they are not joined. */
static void
small_datagrams_are_not_joined(void **state)
{
	(void)state;
	for (unsigned split = 0; split < SPLITS_TRIED; split++) {
		struct link link = link_new(2);

		for (int i = 0; i < 5; i++) {
			peer_write_text(peer_stream(link.client, 1), "ab");
			peer_write_text(peer_stream(link.client, 2), "cde");
		}
		peer_exchange(link.client, link.server, split, WISP_PULL_ROOM);
		assert_string_equal(buffer_text(&peer_stream(link.server, 1)->received_sizes), "2 2 2 2 2 ");
		assert_string_equal(buffer_text(&peer_stream(link.server, 2)->received_sizes), "3 3 3 3 3 ");
		link_free(&link);
	}
}

/* ---- what arrives ---- */

static void
feed_peer(void *arg, uint8_t *p, size_t n, bool last)
{
	struct peer *const peer = arg;

	(void)last;
	assert_true(wisp_session_feed(peer->session, p, n));
}

/* Append a frame with this payload, as the other side of the peer sends it. */
static void
put_frame(struct buffer *wire, const struct peer *peer, bool first, bool last, const uint8_t *payload, size_t n)
{
	static const uint8_t mask[WISP_MASK_SIZE] = {9, 8, 7, 6};
	uint8_t *const frame = malloc(WISP_FRAME_HEADER_MAX + n);
	uint8_t *start;

	assert_non_null(frame);
	if (n > 0)
		memcpy(frame + WISP_FRAME_HEADER_MAX, payload, n);
	start = wisp_frame_encode(frame + WISP_FRAME_HEADER_MAX, n,
		first ? WISP_OPCODE_BINARY : WISP_OPCODE_CONTINUATION, peer->client ? NULL : mask);
	if (!last)
		start[0] &= 0x7f;
	buffer_put(wire, start, (size_t)(frame + WISP_FRAME_HEADER_MAX + n - start));
	free(frame);
}

/* Append a datagram of n bytes for a stream, in frames of up to `fragment` bytes, and empty ones among them. */
static void
put_datagram(struct buffer *wire, const struct peer *peer, uint32_t id, size_t n, size_t fragment)
{
	uint8_t *const packet = malloc(WISP_PACKET_HEADER_SIZE + n);
	const size_t total = WISP_PACKET_HEADER_SIZE + n;

	assert_non_null(packet);
	wisp_packet_header(packet, WISP_DATA, id);
	for (size_t i = 0; i < n; i++)
		packet[WISP_PACKET_HEADER_SIZE + i] = (uint8_t)(i * 31 + id);
	for (size_t at = 0; at < total; at += fragment) {
		const bool last = total - at <= fragment;

		put_frame(wire, peer, at == 0, last, packet + at, last ? total - at : fragment);
		if (!last && at % 3 == 0)
			put_frame(wire, peer, false, false, NULL, 0);
	}
	free(packet);
}

static void
hear_wire(struct peer *peer, struct buffer *wire, unsigned split)
{
	feed_split(split, wire->p, wire->n, feed_peer, peer);
	buffer_free(wire);
}

static void
fragments_become_one_datagram(void **state)
{
	static const size_t fragments[] = {1, 2, 4, 5, 6, 7, 100, 1000, 65536};

	(void)state;
	for (unsigned i = 0; i < 2 * COUNT(fragments) * SPLITS_TRIED; i++) {
		const size_t fragment = fragments[i / 2 % COUNT(fragments)];
		struct peer *const peer = end_new(i % 2);
		struct buffer wire = {0};

		put_datagram(&wire, peer, 1, 0, fragment);
		put_datagram(&wire, peer, 1, 3000, fragment);
		put_datagram(&wire, peer, 2, 500, fragment);
		put_datagram(&wire, peer, 1, 1, fragment);
		hear_wire(peer, &wire, i / 2 / COUNT(fragments));
		assert_string_equal(buffer_text(&peer_stream(peer, 1)->received_sizes), "0 3000 1 ");
		assert_string_equal(buffer_text(&peer_stream(peer, 2)->received_sizes), "500 ");
		for (size_t k = 0; k < 3000; k++)
			assert_int_equal(peer_stream(peer, 1)->received.p[k], (uint8_t)(k * 31 + 1));
		peer_free(peer);
	}
}

/* A ping may come between the fragments of a message. */
static void
pings_do_not_disturb_a_datagram(void **state)
{
	struct peer *const client = end_new(true);

	(void)state;
	assert_true(peer_hear(client, BYTES("\x02\x07\x02\x01\0\0\0he\x89\x01p\x00\x02ll\x89\x00\x80\x01o")));
	assert_string_equal(buffer_text(&peer_stream(client, 1)->received), "hello");
	assert_string_equal(buffer_text(&peer_stream(client, 1)->received_sizes), "5 ");
	assert_string_equal(peer_pull_all(client), "PONG ()\n");
	peer_free(client);
}

/* The last fragment may be empty. */
static void
datagram_may_end_with_nothing(void **state)
{
	struct peer *const client = end_new(true);

	(void)state;
	assert_true(peer_hear(client, BYTES("\x02\x07\x02\x01\0\0\0he\x00\x02ll\x80\x00")));
	assert_string_equal(buffer_text(&peer_stream(client, 1)->received), "hell");
	assert_string_equal(buffer_text(&peer_stream(client, 1)->received_sizes), "4 ");
	peer_free(client);
}

static void
longer_datagrams_are_dropped(void **state)
{
	static const struct {
		size_t n, fragment;
	} cases[] = {{65536, 1 << 20}, {65537, 1 << 20}, {70000, 1 << 20}, {200000, 1 << 20}, {65536, 65535},
		{65536, 1000}, {131072, 65541}, {200000, 65000}};

	(void)state;
	for (unsigned i = 0; i < 2 * COUNT(cases) * SPLITS_TRIED; i++) {
		const size_t c = i / 2 % COUNT(cases);
		struct peer *const peer = end_new(i % 2);
		struct buffer wire = {0};

		put_datagram(&wire, peer, 1, cases[c].n, cases[c].fragment);
		put_datagram(&wire, peer, 1, 65535, cases[c].fragment);
		put_datagram(&wire, peer, 1, cases[c].n, cases[c].fragment);
		put_datagram(&wire, peer, 2, 7, cases[c].fragment);
		hear_wire(peer, &wire, i / 2 / COUNT(cases));
		assert_string_equal(buffer_text(&peer_stream(peer, 1)->received_sizes), "65535 ");
		assert_string_equal(buffer_text(&peer_stream(peer, 2)->received_sizes), "7 ");
		peer_free(peer);
	}
}

/* ---- streams that end or begin within a datagram ---- */

#define HALF BYTES("\x02\x07\x02\x01\0\0\0no")
#define REST BYTES("\x80\x02ne\x82\x08\x02\x02\0\0\0yes")

static void
streams_end_within_a_datagram(void **state)
{
	(void)state;
	/* Closed, also with the CLOSE already sent, and the session gone. */
	for (int sent = 0; sent < 3; sent++) {
		struct peer *const client = end_new(true);

		assert_true(peer_hear(client, HALF));
		peer_close(peer_stream(client, 1), WISP_REASON_VOLUNTARY);
		if (sent == 1)
			assert_string_equal(peer_pull_all(client), "CLOSE 1 0x02\n");
		if (sent < 2)
			assert_true(peer_hear(client, REST));
		assert_int_equal(peer_stream(client, 1)->received_sizes.n, 0);
		assert_string_equal(buffer_text(&peer_stream(client, 2)->received), sent < 2 ? "yes" : "");
		peer_free(client);
	}
}

static void
close_stream(struct peer_stream *stream, enum peer_event event)
{
	if (event == PEER_DATA)
		peer_close(stream, WISP_REASON_CLIENT_ERROR);
}

static void
streams_end_as_they_hear_a_datagram(void **state)
{
	struct peer *const client = end_new(true);
	struct buffer wire = {0};

	(void)state;
	client->hook = close_stream;
	put_datagram(&wire, client, 1, 100, 10);
	put_datagram(&wire, client, 1, 100, 10);
	put_datagram(&wire, client, 2, 100, 1000);
	put_datagram(&wire, client, 2, 100, 1000);
	hear_wire(client, &wire, 0);
	assert_string_equal(buffer_text(&peer_stream(client, 1)->received_sizes), "100 ");
	assert_string_equal(buffer_text(&peer_stream(client, 2)->received_sizes), "100 ");
	assert_string_equal(peer_pull_all(client), "CLOSE 1 0x81\nCLOSE 2 0x81\n");
	peer_free(client);
}

/* The rest of a datagram whose beginning nobody heard is not one, and is not joined to what came before. */
static void
streams_begin_within_a_datagram(void **state)
{
	struct peer *const client = end_new(true);
	struct peer_stream *late;
	struct buffer wire = {0};

	(void)state;
	put_datagram(&wire, client, 1, 100, 10);
	hear_wire(client, &wire, 0);
	assert_true(peer_hear(client, BYTES("\x02\x07\x02\x03\0\0\0no")));
	late = peer_open(client, WISP_UDP, "three");
	assert_int_equal(late->id, 3);
	assert_true(peer_hear(client, BYTES("\x00\x02no\x80\x02no")));
	assert_int_equal(late->received_sizes.n, 0);
	put_datagram(&wire, client, 3, 20, 10);
	put_datagram(&wire, client, 3, 3, 1000);
	hear_wire(client, &wire, 0);
	assert_string_equal(buffer_text(&late->received_sizes), "20 3 ");
	peer_free(client);
}

/* ---- pulls ---- */

/* What a client's datagram of n bytes takes, when its length stands in 16 bits. */
#define ON_WIRE(n) (8 + WISP_PACKET_HEADER_SIZE + (size_t)(n))
/* The room that a pull needs for a datagram of n bytes, whatever its header turns out to be. */
#define ROOM_FOR(n) (WISP_FRAME_HEADER_MAX + WISP_PACKET_HEADER_SIZE + (size_t)(n))

static void
goals_do_not_cut_datagrams(void **state)
{
	struct peer *const client = end_new(true);
	struct peer_stream *const one = peer_stream(client, 1);

	(void)state;
	write_datagram(one, 65507);
	write_datagram(one, 500);
	write_datagram(one, 500);
	write_datagram(one, 500);
	/* Once the goal is reached, nothing more is begun, however much room there is. */
	assert_string_equal(peer_pull_goal(client, 1 << 20, WISP_PULL_MIN), "DATA 1 [65507]\n");
	assert_string_equal(peer_pull_goal(client, 1 << 20, WISP_PULL_MIN - 1), "");
	assert_string_equal(peer_pull_goal(client, 1 << 20, WISP_PULL_MIN), "DATA 1 [500]\n");
	assert_string_equal(
		peer_pull_goal(client, 1 << 20, WISP_PULL_MIN + ON_WIRE(500)), "DATA 1 [500]\nDATA 1 [500]\n");
	assert_string_equal(peer_pull_all(client), "");
	peer_free(client);
}

/* A datagram that fits behind another to the byte goes with it, and one that is longer waits for the next pull. */
static void
datagrams_wait_for_room(void **state)
{
	const size_t first = 1000, fits = WISP_PULL_ROOM - ON_WIRE(first) - ROOM_FOR(0);

	(void)state;
	for (size_t more = 0; more < 2; more++) {
		struct peer *const client = end_new(true);

		write_datagram(peer_stream(client, 1), first);
		write_datagram(peer_stream(client, 1), fits + more);
		write_datagram(peer_stream(client, 2), 2);
		if (more == 0) {
			assert_string_equal(peer_pull(client, WISP_PULL_ROOM), "DATA 1 [1000]\nDATA 1 [64522]\n");
		} else {
			assert_string_equal(peer_pull(client, WISP_PULL_ROOM), "DATA 1 [1000]\n");
			assert_true(wisp_session_pending(client->session));
			assert_non_null(strstr(peer_pull(client, WISP_PULL_ROOM), "DATA 1 [64523]\n"));
		}
		peer_pull_all(client);
		assert_non_null(strstr(peer_log(client), "DATA 2 ("));
		peer_free(client);
	}
}

/* With less room than there should be, a datagram that does not fit is lost, and nothing of it is sent. */
static void
datagrams_are_never_cut(void **state)
{
	const size_t room = 3000, fits = room - ROOM_FOR(0);
	struct peer *const client = end_new(true);
	struct peer_stream *const one = peer_stream(client, 1);

	(void)state;
	write_datagram(one, fits);
	assert_string_equal(peer_pull(client, room), "DATA 1 [2981]\n");
	write_datagram(one, fits + 1);
	write_datagram(one, 65535);
	write_datagram(one, 41);
	assert_string_equal(peer_pull(client, room), "DATA 1 [41]\n");
	/* One that is longer than any may be, too. */
	write_datagram(one, 65536);
	write_datagram(one, 42);
	assert_string_equal(peer_pull_all(client), "DATA 1 [42]\n");
	peer_free(client);
}

static size_t arriving;

/* A datagram arrives after the stream was asked whether there is one. */
static void
let_arrive(struct peer_stream *stream, enum peer_event event)
{
	if (event != PEER_AVAILABLE || stream->id != 1 || arriving == 0)
		return;
	peer_write_bulk(stream, arriving);
	arriving = 0;
}

static void
datagrams_that_come_late_are_not_cut(void **state)
{
	const size_t room = 3000, fits = room - ON_WIRE(1000) - ROOM_FOR(0);

	(void)state;
	for (size_t n = fits - 1; n <= fits + 1; n++) {
		struct peer *const client = end_new(true);

		client->hook = let_arrive;
		arriving = n;
		write_datagram(peer_stream(client, 2), 1000);
		wisp_stream_ready(peer_stream(client, 1)->stream);
		assert_string_equal(
			peer_pull(client, room), n < fits ? "DATA 2 [1000]\nDATA 1 [1967]\n" : "DATA 2 [1000]\n");
		/* Of one that just fills the room nobody can tell whether it is whole. */
		assert_string_equal(peer_pull_all(client), "");
		peer_free(client);
	}
}

static enum peer_event closes_at;

static void
close_at(struct peer_stream *stream, enum peer_event event)
{
	if (event == closes_at && stream->stream != NULL)
		peer_close(stream, WISP_REASON_VOLUNTARY);
}

/* What a stream had is not sent when it is closed as it is asked for that. */
static void
stream_may_be_closed_while_it_is_asked(void **state)
{
	static const enum peer_event events[] = {PEER_AVAILABLE, PEER_READ};

	(void)state;
	for (size_t i = 0; i < COUNT(events); i++) {
		struct peer *const client = end_new(true);

		closes_at = events[i];
		write_datagram(peer_stream(client, 1), 100);
		client->hook = close_at;
		assert_string_equal(peer_pull_all(client), "CLOSE 1 0x02\n");
		assert_int_equal(client->reads, events[i] == PEER_READ);
		peer_free(client);
	}
}

/* However many datagrams without bytes there are, they take turns with other streams. */
static void
empty_datagrams_have_their_price(void **state)
{
	struct peer *const client = end_new(true);

	(void)state;
	for (int i = 0; i < 20000; i++)
		write_datagram(peer_stream(client, 1), 0);
	peer_write_text(peer_stream(client, 2), "query");
	assert_non_null(strstr(peer_pull(client, WISP_PULL_ROOM), "DATA 2 (query)\n"));
	peer_free(client);
}

/* ---- whether there is UDP ---- */

static bool
can_open_udp(struct peer *client)
{
	const struct wisp_destination destination = {WISP_UDP, 53, "host", 4};
	struct wisp_stream *const stream = wisp_stream_open(client->session, &destination, NULL, NULL);

	if (stream != NULL)
		wisp_stream_close(stream, WISP_REASON_VOLUNTARY);
	return stream != NULL;
}

/* What the server says to a CONNECT for UDP and data behind it. */
static const char *
connect_udp(struct peer *server)
{
	const struct wisp_destination destination = {WISP_UDP, 53, "host", 4};
	uint8_t p[64];

	peer_pull_all(server);
	assert_true(peer_hear_message(server, p, wisp_packet_connect(p, 9, &destination)));
	assert_true(peer_hear_data(server, 9, "query"));
	return peer_pull_all(server);
}

/* In v1 UDP is a matter of what each side was told; in v2 both have to name it. */
static void
udp_has_to_be_agreed_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		const uint8_t version = i < 4 ? 1 : 2;
		const bool client_has = i & 1, server_has = i & 2, agreed = client_has && server_has;
		const bool client_may = version == 1 ? client_has : agreed;
		const bool server_may = version == 1 ? server_has : agreed;
		const struct wisp_client_options client_options = {.udp = client_has, .trusted = true};
		const struct wisp_server_options server_options = {.udp = server_has, .credit = 4};
		struct peer *const client = peer_new_client_with(&client_options);
		struct peer *const server = peer_new_server_with(&server_options, version);

		peer_exchange(client, server, i, WISP_PULL_ROOM);
		assert_int_equal(wisp_session_version(client->session), version);
		assert_int_equal(wisp_session_handshake(client->session)->udp, client_may);
		assert_int_equal(wisp_session_handshake(server->session)->udp, server_may);
		assert_int_equal(can_open_udp(client), client_may);
		peer_events(server);
		assert_string_equal(connect_udp(server), server_may ? "" : "CLOSE 9 0x48\n");
		assert_string_equal(peer_events(server), server_may ? "open 9 udp host 53\n" : "");
		peer_free(client);
		peer_free(server);
	}
}

/* ---- credit ---- */

/* Neither is it needed, nor is it said, whatever the server does; and a server that says it all the same is heard. */
static void
datagrams_take_no_credit(void **state)
{
	struct link link = link_new(2);
	struct peer_stream *const up = peer_stream(link.client, 1), *const down = peer_stream(link.server, 1);

	(void)state;
	assert_true(peer_hear_continue(link.client, 1, 0));
	for (int i = 0; i < 100; i++) {
		peer_write_text(up, "query");
		peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
		wisp_stream_set_backlog(down->stream, i % 2 ? 0 : 1000000);
	}
	wisp_stream_confirm(down->stream);
	assert_int_equal(down->received_packets, 100);
	assert_string_equal(peer_pull_all(link.server), "");
	assert_null(strstr(peer_log(link.server), "CONTINUE 1"));
	assert_int_equal(wisp_session_deadline_ms(link.client->session), 0);
	link_free(&link);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_of_each_size_arrive_whole),
		cmocka_unit_test(small_datagrams_are_not_joined),
		cmocka_unit_test(fragments_become_one_datagram),
		cmocka_unit_test(pings_do_not_disturb_a_datagram),
		cmocka_unit_test(datagram_may_end_with_nothing),
		cmocka_unit_test(longer_datagrams_are_dropped),
		cmocka_unit_test(streams_end_within_a_datagram),
		cmocka_unit_test(streams_end_as_they_hear_a_datagram),
		cmocka_unit_test(streams_begin_within_a_datagram),
		cmocka_unit_test(goals_do_not_cut_datagrams),
		cmocka_unit_test(datagrams_wait_for_room),
		cmocka_unit_test(datagrams_are_never_cut),
		cmocka_unit_test(datagrams_that_come_late_are_not_cut),
		cmocka_unit_test(stream_may_be_closed_while_it_is_asked),
		cmocka_unit_test(empty_datagrams_have_their_price),
		cmocka_unit_test(udp_has_to_be_agreed_on),
		cmocka_unit_test(datagrams_take_no_credit),
	};

	return cmocka_run_group_tests_name("datagram", tests, NULL, NULL);
}
