/* End of data, an extension of our own: one direction of a stream ends by itself, and the other goes on. */
#include "unit.h"

#include <string.h>

#include <wisp/handshake.h>

#include "peer.h"

#define CREDIT 8

/* ---- who agrees on it ---- */

static void
both_sides_have_to_name_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		struct wisp_client_options client_options = peer_client_options;
		struct wisp_server_options server_options = peer_server_options;
		struct peer *client, *server;
		const uint8_t version = i & 4 ? 1 : 2;
		const bool agreed = (i & 3) == 3 && version == 2;

		client_options.end_of_data = i & 1;
		server_options.end_of_data = i & 2;
		client_options.versions = i & 8 ? WISP_VERSION_2 : WISP_VERSION_AUTO;
		client = peer_new_client_with(&client_options);
		server = peer_new_server_with(&server_options, version);
		peer_exchange(client, server, 0, WISP_PULL_ROOM);
		assert_int_equal(wisp_session_handshake(client->session)->end_of_data, agreed);
		assert_int_equal(wisp_session_handshake(server->session)->end_of_data, agreed);
		assert_int_equal(strstr(peer_log(client), "\\xf1\\x01\\x00\\x00\\x00\\x01)\n") != NULL, agreed);
		assert_int_equal(
			strstr(peer_log(server), "\\xf1\\x01\\x00\\x00\\x00\\x01)\n") != NULL, (i & 2) && version == 2);
		peer_free(client);
		peer_free(server);
	}
}

/* Whoever speaks a later version speaks ours, and says more about it maybe. */
static void
it_has_versions(void **state)
{
	static const struct {
		const uint8_t *payload;
		size_t n;
		bool agreed;
	} cases[] = {
		{BYTES(""), false},
		{BYTES("\x00"), false},
		{BYTES("\x00\x01"), false},
		{BYTES("\x01"), true},
		{BYTES("\x02"), true},
		{BYTES("\xff"), true},
		{BYTES("\x01more"), true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t info[50] = {2, 0};
		const struct wisp_extension extension = {0xf1, cases[i].payload, cases[i].n};
		const struct wisp_packet packet = {
			.type = WISP_INFO, .data = info, .size = 2 + wisp_extension_write(info + 2, &extension)};
		struct wisp_handshake client, server;

		wisp_handshake_init_client(&client, &peer_client_options);
		wisp_handshake_init_server(&server, &peer_server_options, 2);
		wisp_handshake_receive(&client, &packet);
		wisp_handshake_receive(&server, &packet);
		assert_int_equal(client.state, WISP_HANDSHAKE_CREDIT);
		assert_int_equal(server.state, WISP_HANDSHAKE_DONE);
		assert_int_equal(client.end_of_data, cases[i].agreed);
		assert_int_equal(server.end_of_data, cases[i].agreed);
	}
}

/* ---- a stream 1 between two that have agreed, or not ---- */

struct link {
	struct peer *client, *server;
	struct peer_stream *up, *down; /* its ends */
};

static struct link
connect_with(bool agreed, enum wisp_stream_type type)
{
	struct wisp_client_options options = peer_client_options;
	struct link link;

	options.end_of_data = agreed;
	options.confirm = false;
	link.client = peer_new_client_with(&options);
	link.server = peer_new_server(2, CREDIT, 10);
	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	link.up = peer_open(link.client, type, "host");
	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	link.down = peer_stream(link.server, 1);
	peer_events(link.client);
	peer_events(link.server);
	return link;
}

static struct link
connect_stream(void)
{
	return connect_with(true, WISP_TCP);
}

static void
exchange(struct link *link)
{
	peer_exchange(link->client, link->server, 1, WISP_PULL_ROOM);
}

static void
free_link(struct link *link)
{
	assert_null(wisp_session_error(link->client->session));
	assert_null(wisp_session_error(link->server->session));
	peer_free(link->client);
	peer_free(link->server);
}

static struct peer_stream *
end_of(struct link *link, bool client)
{
	return client ? link->up : link->down;
}

/* ---- one direction ---- */

static void
one_direction_ends_and_the_other_goes_on(void **state)
{
	(void)state;
	for (int client = 0; client < 2; client++) {
		struct link link = connect_stream();
		struct peer_stream *const from = end_of(&link, client), *const to = end_of(&link, !client);

		peer_write_text(from, "all");
		exchange(&link);
		assert_true(peer_end_data(from));
		assert_true(wisp_session_pending(from->peer->session));
		assert_string_equal(peer_pull_all(from->peer), "END-OF-DATA 1\n");
		assert_true(peer_hear_end(to->peer, 1));
		assert_string_equal(peer_events(to->peer), "ended 1\n");
		assert_string_equal(buffer_text(&to->received), "all");
		/* More than the client has credit for at first. */
		for (int i = 0; i < 2 * CREDIT; i++) {
			peer_write_text(to, "answer");
			exchange(&link);
		}
		assert_int_equal(from->received.n, 2 * CREDIT * strlen("answer"));
		assert_string_equal(peer_events(from->peer), "");
		assert_int_equal(wisp_session_stream_count(link.client->session), 1);
		assert_int_equal(wisp_session_stream_count(link.server->session), 1);
		free_link(&link);
	}
}

/* In whatever pieces it is pulled. */
static void
the_end_comes_behind_all_data(void **state)
{
	(void)state;
	for (int client = 0; client < 2; client++) {
		struct link link = connect_stream();
		struct peer_stream *const from = end_of(&link, client);
		const char *end;

		peer_write_bulk(from, 200000);
		while (from->outgoing_at < from->outgoing.n) {
			assert_true(peer_hear_continue(from->peer, 1, CREDIT));
			peer_pull(from->peer, WISP_PULL_MIN * 9);
		}
		assert_true(peer_end_data(from));
		peer_pull(from->peer, WISP_PULL_MIN);
		end = strstr(peer_log(from->peer), "END-OF-DATA 1\n");
		assert_non_null(end);
		assert_string_equal(end, "END-OF-DATA 1\n");
		free_link(&link);
	}
}

static void
end_as_it_is_read(struct peer_stream *stream, enum peer_event event)
{
	if (event == PEER_READ)
		assert_true(wisp_stream_end(stream->stream));
}

/* `read` may know that what it hands out is the last, or find that there is none. */
static void
the_end_may_be_known_as_it_is_read(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct link link = connect_stream();
		struct peer_stream *const from = end_of(&link, i & 1);

		from->peer->hook = end_as_it_is_read;
		peer_write_text(from, i & 2 ? "last" : "");
		assert_string_equal(
			peer_pull_all(from->peer), i & 2 ? "DATA 1 (last)\nEND-OF-DATA 1\n" : "END-OF-DATA 1\n");
		assert_int_equal(from->peer->reads, 1);
		free_link(&link);
	}
}

static void
end_as_it_is_asked(struct peer_stream *stream, enum peer_event event)
{
	if (event == PEER_AVAILABLE)
		assert_true(wisp_stream_end(stream->stream));
}

/* Also where it has no credit, or gathers data because it has little. */
static void
nothing_is_read_after_it(void **state)
{
	(void)state;
	for (int short_of_credit = 0; short_of_credit < 3; short_of_credit++) {
		struct link link = connect_stream();

		if (short_of_credit > 0)
			assert_true(peer_hear_continue(link.client, 1, (uint32_t)short_of_credit - 1));
		if (short_of_credit == 2)
			link.client->hook = end_as_it_is_asked;
		peer_write_text(link.up, "never read");
		if (short_of_credit == 1)
			assert_string_equal(peer_pull_all(link.client), "");
		assert_true(wisp_stream_end(link.up->stream));
		assert_string_equal(peer_pull_all(link.client), "END-OF-DATA 1\n");
		assert_false(wisp_stream_ready(link.up->stream));
		assert_true(peer_hear_continue(link.client, 1, CREDIT));
		assert_true(wisp_stream_end(link.up->stream));
		link.client->now_ms += WISP_GATHER_MS;
		assert_false(wisp_session_pending(link.client->session));
		assert_string_equal(peer_pull_all(link.client), "");
		assert_int_equal(link.client->reads, 0);
		free_link(&link);
	}
}

static void
held_streams_end(void **state)
{
	struct link link = connect_stream();

	(void)state;
	assert_true(peer_hear_continue(link.client, 1, 1));
	peer_write_text(link.up, "gathered");
	assert_string_equal(peer_pull_all(link.client), "");
	assert_int_not_equal(wisp_session_deadline_ms(link.client->session), 0);
	assert_true(wisp_stream_end(link.up->stream));
	assert_int_equal(wisp_session_deadline_ms(link.client->session), 0);
	assert_string_equal(peer_pull_all(link.client), "END-OF-DATA 1\n");
	free_link(&link);
}

static void
it_follows_connect(void **state)
{
	struct link link = connect_stream();
	struct peer_stream *const stream = peer_open(link.client, WISP_TCP, "other");

	(void)state;
	assert_true(peer_end_data(stream));
	assert_string_equal(peer_pull_all(link.client), "CONNECT 2 tcp other 80\nEND-OF-DATA 2\n");
	free_link(&link);
}

/* It is one of the control packets: of each kind there is one at the most, and CLOSE stands for all. */
static void
it_takes_its_place_among_control_packets(void **state)
{
	struct link link = connect_stream();

	(void)state;
	for (int i = 0; i < CREDIT; i++)
		assert_true(peer_hear_data(link.server, 1, "d"));
	assert_true(peer_end_data(link.down));
	assert_string_equal(peer_pull_all(link.server), "CONTINUE 1 8\nEND-OF-DATA 1\n");

	assert_true(peer_end_data(link.up));
	peer_close(link.up, WISP_REASON_VOLUNTARY);
	assert_string_equal(peer_pull_all(link.client), "CLOSE 1 0x02\n");
	assert_false(wisp_session_pending(link.client->session));
	assert_int_equal(wisp_session_stream_count(link.client->session), 0);
	free_link(&link);
}

/* A client that sends no more needs no credit. */
static void
no_credit_follows_it(void **state)
{
	struct link link = connect_stream();

	(void)state;
	for (int i = 0; i < CREDIT; i++) {
		assert_true(peer_hear_data(link.server, 1, "d"));
		wisp_stream_set_backlog(link.down->stream, (size_t)65536 * CREDIT);
	}
	peer_pull_all(link.server);
	assert_true(peer_hear_end(link.server, 1));
	wisp_stream_set_backlog(link.down->stream, 0);
	assert_false(wisp_session_pending(link.server->session));
	free_link(&link);
}

static void
without_agreement_nothing_happens(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct link link = i & 2 ? connect_with(false, WISP_TCP) : connect_with(true, WISP_UDP);
		struct peer_stream *const from = end_of(&link, i & 1);

		assert_false(peer_end_data(from));
		assert_false(wisp_session_pending(from->peer->session));
		peer_write_text(from, "goes on");
		exchange(&link);
		assert_string_equal(buffer_text(&end_of(&link, !(i & 1))->received), "goes on");
		free_link(&link);
	}
}

/* ---- both directions ---- */

static void
expect_over(struct link *link)
{
	assert_int_equal(wisp_session_stream_count(link->client->session), 0);
	assert_int_equal(wisp_session_stream_count(link->server->session), 0);
	free_link(link);
}

static void
the_server_closes_when_the_client_ends_last(void **state)
{
	struct link link = connect_stream();

	(void)state;
	assert_true(peer_end_data(link.down));
	exchange(&link);
	peer_write_text(link.up, "request");
	exchange(&link);
	assert_true(peer_end_data(link.up));
	assert_string_equal(peer_pull_all(link.client), "END-OF-DATA 1\n");
	assert_true(peer_hear_end(link.server, 1));
	assert_string_equal(peer_events(link.server), "closed 1 0x02\n");
	assert_string_equal(buffer_text(&link.down->received), "request");
	assert_string_equal(peer_pull_all(link.server), "CLOSE 1 0x02\n");
	assert_true(peer_hear_close(link.client, 1, WISP_REASON_VOLUNTARY));
	assert_string_equal(peer_events(link.client), "ended 1\nclosed 1 0x02\n");
	expect_over(&link);
}

/* Its CLOSE says both. */
static void
the_server_closes_when_it_ends_last(void **state)
{
	struct link link = connect_stream();

	(void)state;
	assert_true(peer_end_data(link.up));
	exchange(&link);
	assert_string_equal(peer_events(link.server), "ended 1\n");
	peer_write_text(link.down, "answer");
	exchange(&link);
	assert_true(peer_end_data(link.down));
	assert_string_equal(peer_events(link.server), "");
	assert_string_equal(peer_pull_all(link.server), "CLOSE 1 0x02\n");
	assert_string_equal(peer_events(link.server), "closed 1 0x02\n");
	assert_true(peer_hear_close(link.client, 1, WISP_REASON_VOLUNTARY));
	assert_string_equal(peer_events(link.client), "closed 1 0x02\n");
	assert_string_equal(buffer_text(&link.up->received), "answer");
	expect_over(&link);
}

/* The two ends cross each other: before or after the server's has been pulled. */
static void
ends_may_cross(void **state)
{
	(void)state;
	for (int pulled = 0; pulled < 2; pulled++) {
		struct link link = connect_stream();

		assert_true(peer_end_data(link.up));
		assert_string_equal(peer_pull_all(link.client), "END-OF-DATA 1\n");
		assert_true(peer_end_data(link.down));
		if (pulled)
			assert_string_equal(peer_pull_all(link.server), "END-OF-DATA 1\n");
		assert_true(peer_hear_end(link.server, 1));
		if (pulled)
			assert_true(peer_hear_end(link.client, 1));
		assert_string_equal(peer_pull_all(link.server), "CLOSE 1 0x02\n");
		assert_string_equal(peer_events(link.server), pulled ? "closed 1 0x02\n" : "ended 1\nclosed 1 0x02\n");
		assert_true(peer_hear_close(link.client, 1, WISP_REASON_VOLUNTARY));
		assert_string_equal(peer_events(link.client), pulled ? "ended 1\nclosed 1 0x02\n" : "closed 1 0x02\n");
		expect_over(&link);
	}
}

/* A client leaves it to the server, but may close it at any time. */
static void
clients_wait_for_the_close(void **state)
{
	struct link link = connect_stream();

	(void)state;
	assert_true(peer_end_data(link.up));
	peer_pull_all(link.client);
	assert_true(peer_hear_end(link.client, 1));
	assert_string_equal(peer_events(link.client), "ended 1\n");
	assert_false(wisp_session_pending(link.client->session));
	assert_int_equal(wisp_session_stream_count(link.client->session), 1);
	peer_close(link.up, WISP_REASON_VOLUNTARY);
	assert_string_equal(peer_pull_all(link.client), "CLOSE 1 0x02\n");
	free_link(&link);
}

/* ---- the other side breaks the rules ---- */

enum breach {
	DATA_AFTER_IT,
	A_SECOND_ONE,
	WITHOUT_AGREEMENT,
	ON_UDP,
	BREACHES,
};

static void
commit(struct peer *peer, enum breach breach)
{
	if (breach == DATA_AFTER_IT || breach == A_SECOND_ONE)
		assert_true(peer_hear_end(peer, 1));
	if (breach == DATA_AFTER_IT)
		assert_true(peer_hear_data(peer, 1, "more"));
	else
		assert_true(peer_hear_end(peer, 1));
}

/* It costs that stream, and no other. */
static void
breaches_end_the_stream(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * BREACHES; i++) {
		const enum breach breach = (enum breach)(i / 2);
		struct link link = connect_with(breach != WITHOUT_AGREEMENT, breach == ON_UDP ? WISP_UDP : WISP_TCP);
		struct peer_stream *const stream = end_of(&link, i % 2);
		struct peer_stream *other;

		other = peer_open(link.client, WISP_TCP, "other");
		exchange(&link);
		peer_events(link.client);
		peer_events(link.server);
		commit(stream->peer, breach);
		assert_string_equal(peer_events(stream->peer), breach == DATA_AFTER_IT || breach == A_SECOND_ONE
								       ? "ended 1\nclosed 1 0x03\n"
								       : "closed 1 0x03\n");
		assert_int_equal(stream->received.n, 0);
		/* It goes on with that. */
		assert_true(peer_hear_data(stream->peer, 1, "and more"));
		assert_true(peer_hear_end(stream->peer, 1));
		assert_string_equal(peer_pull_all(stream->peer), "CLOSE 1 0x03\n");
		assert_string_equal(peer_events(stream->peer), "");
		peer_write_text(other, "undisturbed");
		exchange(&link);
		assert_string_equal(buffer_text(&peer_stream(link.server, 2)->received), "undisturbed");
		free_link(&link);
	}
}

/* For a stream that is over, it has crossed our CLOSE; bytes behind it are for later versions to mean something. */
static void
what_is_passed_over(void **state)
{
	struct link link = connect_stream();

	(void)state;
	assert_true(peer_hear_end(link.server, 77));
	assert_true(peer_hear_message(link.server, BYTES("\xf1\x01\x00\x00\x00payload")));
	assert_string_equal(peer_events(link.server), "ended 1\n");
	peer_close(link.down, WISP_REASON_REFUSED);
	assert_true(peer_hear_end(link.server, 1));
	assert_string_equal(peer_pull_all(link.server), "CLOSE 1 0x44\n");
	assert_true(peer_hear_end(link.server, 1));
	assert_string_equal(peer_events(link.server), "");
	free_link(&link);
}

/* Before there is an agreement, it has no place. */
static void
it_has_no_place_in_the_handshake(void **state)
{
	(void)state;
	for (int client = 0; client < 2; client++) {
		struct peer *const peer = client ? peer_new_client(WISP_VERSION_2) : peer_new_server(2, CREDIT, 10);

		peer_pull_all(peer);
		assert_false(peer_hear_end(peer, client ? 0 : 1));
		peer_free(peer);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_have_to_name_it),
		cmocka_unit_test(it_has_versions),
		cmocka_unit_test(one_direction_ends_and_the_other_goes_on),
		cmocka_unit_test(the_end_comes_behind_all_data),
		cmocka_unit_test(the_end_may_be_known_as_it_is_read),
		cmocka_unit_test(nothing_is_read_after_it),
		cmocka_unit_test(held_streams_end),
		cmocka_unit_test(it_follows_connect),
		cmocka_unit_test(it_takes_its_place_among_control_packets),
		cmocka_unit_test(no_credit_follows_it),
		cmocka_unit_test(without_agreement_nothing_happens),
		cmocka_unit_test(the_server_closes_when_the_client_ends_last),
		cmocka_unit_test(the_server_closes_when_it_ends_last),
		cmocka_unit_test(ends_may_cross),
		cmocka_unit_test(clients_wait_for_the_close),
		cmocka_unit_test(breaches_end_the_stream),
		cmocka_unit_test(what_is_passed_over),
		cmocka_unit_test(it_has_no_place_in_the_handshake),
	};

	return cmocka_run_group_tests_name("end of data", tests, NULL, NULL);
}
