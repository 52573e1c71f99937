/*
 * Whole connections, from the handshake to the last CLOSE, in which each allocation fails in its turn, and then each
 * and all that follow. Whatever fails, nothing leaks, the application is told, no byte of another stream is lost or
 * wrong, and nobody's credentials are called wrong.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "memory.h"
#include "peer.h"

/* So little that bulks have to wait for more. */
#define CREDIT 4
#define BULK_SIZE 300000
/* Pieces of a few hundred bytes: datagrams come in several. */
#define SPLIT 17

struct connection {
	struct peer *client, *server;
};

static struct connection connection;

/* ---- who is let in ---- */

static struct wisp_key *key;
static struct wisp_public_key public_key;

static enum wisp_password
check_password(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	(void)arg;
	return user_size == 4 && memcmp(user, "user", 4) == 0 && password_size == 4 && memcmp(password, "pass", 4) == 0
		       ? WISP_PASSWORD_RIGHT
		       : WISP_PASSWORD_WRONG;
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	(void)arg;
	return memcmp(hash, public_key.hash, WISP_KEY_HASH_SIZE) == 0 ? &public_key : NULL;
}

static int
read_keys(void **state)
{
	const char *text = PUBLIC_A, *error;
	size_t n = strlen(text);

	(void)state;
	key = wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error);
	assert_non_null(key);
	assert_int_equal(wisp_public_key_next(&text, &n, &public_key), WISP_KEY_FOUND);
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	wisp_key_free(key);
	return 0;
}

/* ---- the connection ---- */

static void
exchange(void)
{
	/* Streams that are short of credit gather for a while before they send what they have. */
	for (int i = 0; i < 4; i++) {
		peer_exchange(connection.client, connection.server, SPLIT, WISP_PULL_ROOM);
		connection.client->now_ms += WISP_GATHER_MS;
		connection.server->now_ms += WISP_GATHER_MS;
	}
}

/* Both ends are over, or neither. Returns whether they are. */
static bool
is_over(void)
{
	const bool over = wisp_session_error(connection.client->session) != NULL;

	assert_int_equal(wisp_session_error(connection.server->session) != NULL, over);
	return over;
}

/* Returns false when there was no memory for it. */
static bool
introduce(void)
{
	if (connection.client->session == NULL || connection.server->session == NULL) {
		assert_true(memory_failures() > 0);
		return false;
	}
	exchange();
	if (is_over()) {
		const uint8_t reason = wisp_session_handshake(connection.client->session)->reason;

		assert_true(memory_failures() > 0);
		assert_true(reason == 0 || reason == WISP_REASON_UNKNOWN);
		return false;
	}
	assert_true(wisp_session_version(connection.client->session) > 0);
	return true;
}

/* A server that is twice in a row without memory to refuse a stream in may end the connection, but must say why. */
static bool
goes_on(void)
{
	if (!is_over())
		return true;
	assert_true(memory_failures() > 1);
	assert_string_equal(wisp_session_error(connection.server->session), "out of memory");
	return false;
}

/* ---- its streams ---- */

static struct peer_stream *
open_stream(enum wisp_stream_type type)
{
	struct peer_stream *const stream = peer_try_open(connection.client, type, "host");

	if (stream == NULL)
		assert_true(memory_failures() > 0);
	return stream;
}

/* The server's end of a stream; NULL when it was refused, which the client must have heard. */
static struct peer_stream *
far_end(const struct peer_stream *stream)
{
	struct peer_stream *const other = stream != NULL ? peer_stream(connection.server, stream->id) : NULL;

	if (stream != NULL && other == NULL) {
		assert_true(memory_failures() > 0);
		assert_null(stream->stream);
		assert_int_equal(stream->reason, WISP_REASON_THROTTLED);
	}
	return other;
}

static void
write_bulk(struct peer_stream *stream)
{
	if (stream != NULL && stream->stream != NULL)
		peer_write_bulk(stream, BULK_SIZE);
}

static void
close_stream(struct peer_stream *stream, uint8_t reason)
{
	if (stream != NULL && stream->stream != NULL)
		peer_close(stream, reason);
}

static void
confirm_streams(void)
{
	struct peer_stream *stream;

	TAILQ_FOREACH (stream, &connection.server->streams, entry) {
		if (stream->stream != NULL)
			wisp_stream_confirm(stream->stream);
	}
}

/* The session has the streams that its application knows, and no others. */
static void
check_count(const struct peer *peer)
{
	const struct peer_stream *stream;
	size_t count = 0;

	TAILQ_FOREACH (stream, &peer->streams, entry)
		count += stream->stream != NULL;
	assert_int_equal(wisp_session_stream_count(peer->session), count);
	assert_true(count == 2 || memory_failures() > 0);
}

/* `times` bulks have arrived whole, and nothing else. */
static void
check_bulk(const struct peer_stream *stream, size_t times)
{
	struct rng rng;
	uint8_t *expected;

	if (stream == NULL)
		return;
	expected = must_alloc(BULK_SIZE);
	rng = rng_seeded(stream->id);
	rng_fill(&rng, expected, BULK_SIZE);
	assert_int_equal(stream->received.n, times * BULK_SIZE);
	for (size_t i = 0; i < times; i++)
		assert_memory_equal(stream->received.p + i * BULK_SIZE, expected, BULK_SIZE);
	free(expected);
}

/* ---- datagrams: each of another size, full of its number ---- */

static const size_t datagram_sizes[] = {1, 40000, 0, 3000, 60000, 20};

static void
write_datagrams(struct peer_stream *stream)
{
	if (stream == NULL || stream->stream == NULL)
		return;
	for (size_t i = 0; i < COUNT(datagram_sizes); i++) {
		uint8_t *const p = must_alloc(datagram_sizes[i]);

		if (datagram_sizes[i] > 0)
			memset(p, (int)i, datagram_sizes[i]);
		peer_write(stream, p, datagram_sizes[i]);
		free(p);
	}
}

/* They have arrived in their order, each whole or not at all, and all of them when there was memory. */
static void
check_datagrams(struct peer_stream *stream)
{
	const char *sizes = stream != NULL ? buffer_text(&stream->received_sizes) : "";
	size_t at = 0, i = 0;
	char *end;

	for (; *sizes != '\0'; sizes = end + 1, i++) {
		const size_t size = strtoul(sizes, &end, 10);

		while (i < COUNT(datagram_sizes) && datagram_sizes[i] != size)
			i++;
		assert_true(i < COUNT(datagram_sizes));
		for (size_t k = 0; k < size; k++)
			assert_int_equal(stream->received.p[at + k], i);
		at += size;
	}
	if (memory_failures() == 0)
		assert_int_equal(stream->received_packets, COUNT(datagram_sizes));
}

/* ---- what happens ---- */

/* Four streams at once, one of which is closed before the server hears of it, and one opened while the others send. */
static void
use_streams(void)
{
	struct peer_stream *const up = open_stream(WISP_TCP), *const both = open_stream(WISP_TCP);
	struct peer_stream *const datagrams = open_stream(WISP_UDP), *const unheard = open_stream(WISP_TCP);
	struct peer_stream *late;

	write_bulk(up);
	write_bulk(both);
	close_stream(unheard, WISP_REASON_VOLUNTARY);
	write_datagrams(datagrams);
	peer_pull(connection.client, WISP_PULL_ROOM);
	peer_hear(connection.server, connection.client->sent.p, connection.client->sent.n);
	late = open_stream(WISP_TCP);
	write_bulk(late);
	confirm_streams();
	exchange();
	if (!goes_on())
		return;
	confirm_streams();
	write_bulk(far_end(both));
	write_bulk(far_end(late));
	write_bulk(late);
	write_datagrams(far_end(datagrams));
	exchange();
	check_bulk(far_end(up), 1);
	check_bulk(far_end(both), 1);
	check_bulk(far_end(late), 2);
	if (far_end(both) != NULL)
		check_bulk(both, 1);
	if (far_end(late) != NULL)
		check_bulk(late, 1);
	check_datagrams(far_end(datagrams));
	if (far_end(datagrams) != NULL)
		check_datagrams(datagrams);

	/* Each is closed in its way: by the client, by the server, and with the session. */
	close_stream(far_end(both), WISP_REASON_NETWORK_ERROR);
	close_stream(up, WISP_REASON_VOLUNTARY);
	wisp_session_ping(connection.client->session);
	exchange();
	assert_non_null(strstr(buffer_text(&connection.client->events), "pong\n"));
	if (both != NULL && far_end(both) != NULL)
		assert_int_equal(both->reason, WISP_REASON_NETWORK_ERROR);
	if (up != NULL && far_end(up) != NULL)
		assert_int_equal(far_end(up)->reason, WISP_REASON_VOLUNTARY);
	check_count(connection.client);
	check_count(connection.server);
}

static void
run(const struct wisp_client_options *client, const struct wisp_server_options *server, uint8_t version)
{
	connection.client = peer_try_client(client);
	connection.server = peer_try_server(server, version);
	connection.server->connects_later = true;
	if (introduce())
		use_streams();
	peer_free(connection.client);
	peer_free(connection.server);
}

static void
run_v1(void)
{
	static const struct wisp_client_options client = {.udp = true};
	static const struct wisp_server_options server = {.udp = true, .credit = CREDIT};

	run(&client, &server, 1);
}

static void
run_v2(void)
{
	static const struct wisp_client_options client = {
		.udp = true, .confirm = true, .trusted = true, .user = "user", .password = "pass"};
	static const struct wisp_server_options server = {
		.udp = true, .credit = CREDIT, .motd = "hello", .check_password = check_password};

	run(&client, &server, 2);
}

static void
run_v2_with_key(void)
{
	const struct wisp_client_options client = {.udp = true, .trusted = true, .key = key};
	static const struct wisp_server_options server = {.udp = true, .credit = CREDIT, .find_key = find_key};

	run(&client, &server, 2);
}

static void
v1_connections_need_memory(void **state)
{
	(void)state;
	memory_fail_each(run_v1);
}

static void
v2_connections_with_passwords_need_memory(void **state)
{
	(void)state;
	memory_fail_each(run_v2);
}

static void
v2_connections_with_keys_need_memory(void **state)
{
	(void)state;
	memory_fail_each(run_v2_with_key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v1_connections_need_memory),
		cmocka_unit_test(v2_connections_with_passwords_need_memory),
		cmocka_unit_test_setup_teardown(v2_connections_with_keys_need_memory, read_keys, free_keys),
	};

	memory_take_openssl();
	return cmocka_run_group_tests_name("memory_session", tests, NULL, NULL);
}
