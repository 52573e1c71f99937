/*
 * What happens when there is no memory: the one thing is refused, and nothing leaks or breaks. Whole connections are
 * test_memory_session.c's.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <wisp/key.h>
#include <wisp/upgrade.h>

#include "keys.h"
#include "memory.h"
#include "peer.h"

/* ---- sessions ---- */

static void
sessions_need_memory(void **state)
{
	static const struct wisp_session_callbacks callbacks;

	(void)state;
	memory_lack(MEMORY_LACKS_ONCE, 1);
	assert_null(wisp_session_new_client(&peer_client_options, &callbacks, NULL));
	memory_lack(MEMORY_LACKS_ONCE, 1);
	assert_null(wisp_session_new_server(&peer_server_options, 1, 10, &callbacks, NULL));
}

static void
streams_need_memory(void **state)
{
	struct peer *const client = peer_new_ready_client(PEER_CREDIT);
	int failures = 0;

	(void)state;
	for (size_t i = 1; i <= 2; i++) {
		memory_lack(MEMORY_LACKS_ONCE, i);
		failures += peer_try_open(client, WISP_TCP, "host") == NULL;
		memory_suffice();
		assert_int_equal(wisp_session_stream_count(client->session), 0);
	}
	assert_int_equal(failures, 2);
	assert_string_equal(peer_pull_all(client), "");
	peer_open(client, WISP_TCP, "host");
	assert_string_equal(peer_pull_all(client), "CONNECT 3 tcp host 80\n");
	peer_free(client);
}

/* A stream for which there is no memory is refused, without any, and the others go on. */
static void
connect_without_memory_is_refused(void **state)
{
	static const struct {
		const char *host, *says;
	} connects[] = {{"host", "CLOSE 2 0x49\n"}, {"no valid host", "CLOSE 2 0x41\n"}};

	(void)state;
	for (size_t i = 0; i < COUNT(connects); i++) {
		struct peer *const server = peer_new_ready_server(PEER_CREDIT, 10);

		assert_true(peer_hear_connect(server, 1, "host"));
		for (int k = 0; k < 2; k++) {
			memory_lack(MEMORY_LACKS_FOR_GOOD, 1);
			assert_true(peer_hear_connect(server, 2, connects[i].host));
			assert_true(peer_hear_data(server, 2, "lost"));
			assert_true(peer_hear_data(server, 1, "data"));
			assert_string_equal(peer_pull_all(server), connects[i].says);
			assert_true(memory_failures() > 0);
			memory_suffice();
		}
		assert_string_equal(peer_events(server), "open 1 tcp host 80\n");
		assert_string_equal(buffer_text(&peer_stream(server, 1)->received), "datadata");
		assert_true(peer_hear_connect(server, 2, "host"));
		assert_string_equal(peer_events(server), "open 2 tcp host 80\n");
		peer_free(server);
	}
}

/* Only one at a time can be refused so: a client that opens more of them at once loses its connection. */
static void
connects_without_memory_end_the_session(void **state)
{
	struct peer *const server = peer_new_ready_server(PEER_CREDIT, 10);

	(void)state;
	memory_lack(MEMORY_LACKS_FOR_GOOD, 1);
	assert_true(peer_hear_connect(server, 1, "host"));
	assert_false(peer_hear_connect(server, 2, "host"));
	memory_suffice();
	assert_string_equal(wisp_session_error(server->session), "out of memory");
	assert_string_equal(peer_pull_all(server), "END 1001\n");
	assert_string_equal(peer_events(server), "");
	peer_free(server);
}

/* Without memory to put it together in, a datagram that comes in pieces is lost; the next one is not. */
static void
datagrams_in_pieces_need_memory(void **state)
{
	struct peer *const client = peer_new_ready_client(PEER_CREDIT);
	struct peer_stream *const stream = peer_open(client, WISP_UDP, "host");
	uint8_t heard[] = "\x02\x07\x02\x01\0\0\0he\x00\x02ll\x80\x01o";

	(void)state;
	for (int i = 0; i < 3; i++) {
		uint8_t *const copy = exact_copy(heard, sizeof heard - 1);

		memory_lack(MEMORY_LACKS_ONCE, i == 1 ? 0 : 1);
		assert_true(wisp_session_feed(client->session, copy, sizeof heard - 1));
		free(copy);
		/* Once there is a place for it, there is one for each. */
		assert_int_equal(memory_failures(), i == 0);
		memory_suffice();
		assert_int_equal(stream->received_packets, i);
	}
	assert_string_equal(buffer_text(&stream->received), "hellohello");
	peer_free(client);
}

/* ---- keys: each use of one is refused, or done all the same ---- */

static bool refused;

static void
read_key(void)
{
	const char *error = NULL;
	struct wisp_key *const key = wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error);

	assert_true(key != NULL || error != NULL);
	assert_true(key != NULL || memory_failures() > 0);
	refused |= key == NULL;
	wisp_key_free(key);
}

static void
read_public_keys(void)
{
	const char *text = PUBLIC_A SSH_B;
	size_t n = strlen(text);
	struct wisp_public_key key;

	for (int i = 0; i < 2; i++) {
		if (wisp_public_key_next(&text, &n, &key) == WISP_KEY_FOUND)
			continue;
		assert_true(memory_failures() > 0);
		refused = true;
	}
	assert_int_equal(wisp_public_key_next(&text, &n, &key), WISP_KEY_END);
}

static struct wisp_key *signing_key;
static struct wisp_public_key verifying_key;
static uint8_t signature[WISP_KEY_SIGNATURE_SIZE];

static void
sign(void)
{
	if (wisp_key_sign(signing_key, (const uint8_t *)"challenge", 9, signature))
		return;
	assert_true(memory_failures() > 0);
	refused = true;
}

/* Nobody is told that a signature is wrong, or right, which is not. */
static void
verify(void)
{
	for (int wrong = 0; wrong < 2; wrong++) {
		const enum wisp_signature result = wisp_public_key_verify(&verifying_key,
			(const uint8_t *)(wrong ? "Challenge" : "challenge"), 9, signature, sizeof signature);

		if (memory_failures() == 0)
			assert_int_equal(result, wrong ? WISP_SIGNATURE_WRONG : WISP_SIGNATURE_RIGHT);
		assert_int_not_equal(result, wrong ? WISP_SIGNATURE_RIGHT : WISP_SIGNATURE_WRONG);
		refused |= result == WISP_SIGNATURE_UNKNOWN;
	}
}

static void
keys_need_memory(void **state)
{
	static void (*const uses[])(void) = {read_key, read_public_keys, sign, verify};
	const char *text = SSH_A, *error;
	size_t n = strlen(text);

	(void)state;
	memory_lack(MEMORY_LACKS_ONCE, 1);
	assert_null(wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error));
	assert_string_equal(error, "out of memory");
	signing_key = wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error);
	assert_non_null(signing_key);
	assert_int_equal(wisp_public_key_next(&text, &n, &verifying_key), WISP_KEY_FOUND);
	for (size_t i = 0; i < COUNT(uses); i++) {
		refused = false;
		memory_fail_each(uses[i]);
		assert_true(refused);
	}
	wisp_key_free(signing_key);
}

/* ---- the upgrade: done, or an error of the server ---- */

static void
respond(void)
{
	const struct wisp_upgrade_request request = {.status = 101, .key = "dGhlIHNhbXBsZSBub25jZQ=="};
	char response[WISP_UPGRADE_RESPONSE_MAX];
	const size_t n = wisp_upgrade_respond(&request, response);

	assert_true(n > 13 && n < sizeof response);
	if (memcmp(response, "HTTP/1.1 101 ", 13) == 0)
		return;
	assert_true(memory_failures() > 0);
	assert_memory_equal(response, "HTTP/1.1 500 ", 13);
	refused = true;
}

static void
upgrades_need_memory(void **state)
{
	(void)state;
	refused = false;
	memory_fail_each(respond);
	assert_true(refused);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_need_memory),
		cmocka_unit_test(streams_need_memory),
		cmocka_unit_test(connect_without_memory_is_refused),
		cmocka_unit_test(connects_without_memory_end_the_session),
		cmocka_unit_test(datagrams_in_pieces_need_memory),
		cmocka_unit_test(keys_need_memory),
		cmocka_unit_test(upgrades_need_memory),
	};

	memory_take_openssl();
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
