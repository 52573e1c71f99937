/* A server tells the client that a stream is open: with CONTINUE, to those that want to know, and to no others. */
#include "unit.h"

#include "peer.h"

#define CREDIT 8

/* A server with streams 1, TCP, and 2, UDP, that are not yet connected, and its client. */
struct link {
	struct peer *client, *server;
};

static struct link
connect_streams(uint8_t version, bool confirm)
{
	struct wisp_client_options options = peer_client_options;
	struct link link;

	options.confirm = confirm;
	link.client = peer_new_client_with(&options);
	link.server = peer_new_server(version, CREDIT, 10);
	link.server->connects_later = true;
	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	peer_open(link.client, WISP_TCP, "tcp");
	peer_open(link.client, WISP_UDP, "udp");
	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	peer_events(link.client);
	assert_string_equal(peer_pull_all(link.server), "");
	return link;
}

static void
free_link(struct link *link)
{
	peer_free(link->client);
	peer_free(link->server);
}

static void
streams_are_confirmed_when_that_was_agreed(void **state)
{
	static const struct {
		uint8_t version;
		bool confirm;
		const char *says;
	} cases[] = {
		{1, false, ""},
		{1, true, ""},
		{2, false, ""},
		{2, true, "CONTINUE 1 8\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct link link = connect_streams(cases[i].version, cases[i].confirm);

		wisp_stream_confirm(peer_stream(link.server, 2)->stream);
		wisp_stream_confirm(peer_stream(link.server, 1)->stream);
		assert_int_equal(wisp_session_pending(link.server->session), cases[i].says[0] != '\0');
		assert_string_equal(peer_pull_all(link.server), cases[i].says);
		free_link(&link);
	}
}

static void
clients_hear_of_it(void **state)
{
	struct link link = connect_streams(2, true);

	(void)state;
	wisp_stream_confirm(peer_stream(link.server, 1)->stream);
	peer_exchange(link.client, link.server, 1, WISP_PULL_ROOM);
	assert_string_equal(peer_events(link.client), "granted 1\n");
	free_link(&link);
}

static void
closed_streams_are_not_confirmed(void **state)
{
	struct link link = connect_streams(2, true);
	struct wisp_stream *const stream = peer_stream(link.server, 1)->stream;

	(void)state;
	wisp_stream_confirm(stream);
	peer_close(peer_stream(link.server, 1), WISP_REASON_REFUSED);
	assert_string_equal(peer_pull_all(link.server), "CLOSE 1 0x44\n");
	free_link(&link);
}

/*
 * New credit is CONTINUE as well, so it waits for the confirmation: whoever sends without waiting must not take it for
 * one. Where nothing was agreed on, there is nothing to wait for.
 */
static void
credit_does_not_confirm(void **state)
{
	struct link agreed = connect_streams(2, true), other = connect_streams(2, false);
	struct wisp_stream *const stream = peer_stream(agreed.server, 1)->stream;

	(void)state;
	for (int i = 0; i < CREDIT; i++)
		assert_true(peer_hear_data(agreed.server, 1, "d"));
	wisp_stream_set_backlog(stream, 3 * 65536);
	wisp_stream_set_backlog(stream, 65536);
	assert_string_equal(peer_pull_all(agreed.server), "");
	wisp_stream_confirm(stream);
	assert_string_equal(peer_pull_all(agreed.server), "CONTINUE 1 7\n");
	/* From now on it is credit, and nothing else. */
	assert_true(peer_hear_data(agreed.server, 1, "d"));
	assert_string_equal(peer_pull_all(agreed.server), "");
	assert_true(peer_hear_data(agreed.server, 1, "d"));
	assert_string_equal(peer_pull_all(agreed.server), "CONTINUE 1 7\n");

	assert_true(peer_hear_data(other.server, 1, "d"));
	assert_true(peer_hear_data(other.server, 1, "d"));
	assert_string_equal(peer_pull_all(other.server), "CONTINUE 1 8\n");
	free_link(&agreed);
	free_link(&other);
}

/* A full buffer is confirmed with a credit of 0, which still says that the stream is open. */
static void
full_buffers_are_confirmed(void **state)
{
	struct link link = connect_streams(2, true);
	struct wisp_stream *const stream = peer_stream(link.server, 1)->stream;

	(void)state;
	wisp_stream_set_backlog(stream, (size_t)CREDIT * 65536);
	wisp_stream_confirm(stream);
	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	assert_string_equal(peer_events(link.client), "granted 1\n");
	peer_write_text(peer_stream(link.client, 1), "d");
	assert_string_equal(peer_pull_all(link.client), "");
	wisp_stream_set_backlog(stream, 0);
	peer_exchange(link.client, link.server, 0, WISP_PULL_ROOM);
	assert_string_equal(peer_events(link.client), "granted 1\n");
	assert_string_equal(buffer_text(&peer_stream(link.server, 1)->received), "d");
	free_link(&link);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_are_confirmed_when_that_was_agreed),
		cmocka_unit_test(clients_hear_of_it),
		cmocka_unit_test(closed_streams_are_not_confirmed),
		cmocka_unit_test(credit_does_not_confirm),
		cmocka_unit_test(full_buffers_are_confirmed),
	};

	return cmocka_run_group_tests_name("confirmation", tests, NULL, NULL);
}
