/*
 * What happens when there is no memory: the one thing is refused, and nothing leaks or breaks. To be linked with
 * -Wl,--wrap=malloc,--wrap=calloc
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include <wisp/key.h>

#include "keys.h"
#include "peer.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);

/* The allocation that is to fail: 1 is the next, 0 none. */
static int fail_at;

static bool
fails(void)
{
	return fail_at > 0 && --fail_at == 0;
}

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t count, size_t n)
{
	return fails() ? NULL : __real_calloc(count, n);
}

/* ---- OpenSSL's, of which those between calls of the library are never refused ---- */

static int crypto_fail_at;
static int crypto_failures;

static bool
crypto_fails(void)
{
	if (crypto_fail_at == 0 || --crypto_fail_at != 0)
		return false;
	crypto_failures++;
	return true;
}

static void *
crypto_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return crypto_fails() ? NULL : __real_malloc(n);
}

static void *
crypto_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return crypto_fails() ? NULL : realloc(p, n);
}

static void
crypto_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

/* ---- sessions ---- */

static void
sessions_need_memory(void **state)
{
	static const struct wisp_session_callbacks callbacks;

	(void)state;
	fail_at = 1;
	assert_null(wisp_session_new_client(&peer_client_options, &callbacks, NULL));
	fail_at = 1;
	assert_null(wisp_session_new_server(&peer_server_options, 1, 10, &callbacks, NULL));
}

static void
streams_need_memory(void **state)
{
	const struct wisp_destination destination = {WISP_TCP, 80, "host", 4};
	struct peer *const client = peer_new_ready_client(PEER_CREDIT);
	int failures = 0;

	(void)state;
	for (int i = 1; i <= 2; i++) {
		fail_at = i;
		failures += wisp_stream_open(client->session, &destination, NULL, client) == NULL;
		fail_at = 0;
		assert_int_equal(wisp_session_stream_count(client->session), 0);
	}
	assert_int_equal(failures, 2);
	assert_string_equal(peer_pull_all(client), "");
	peer_open(client, WISP_TCP, "host");
	assert_string_equal(peer_pull_all(client), "CONNECT 3 tcp host 80\n");
	peer_free(client);
}

/* A server that cannot even refuse a stream gives up the connection. */
static void
connect_without_memory_ends_the_session(void **state)
{
	static const char *const hosts[] = {"host", "no valid host"};

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct peer *const server = peer_new_ready_server(PEER_CREDIT, 10);

		assert_true(peer_hear_connect(server, 1, "host"));
		assert_string_equal(peer_events(server), "open 1 tcp host 80\n");
		fail_at = 3; /* two are the peer's own */
		assert_false(peer_hear_connect(server, 2, hosts[i]));
		assert_int_equal(fail_at, 0);
		assert_string_equal(wisp_session_error(server->session), "out of memory");
		assert_string_equal(peer_pull_all(server), "END 1001\n");
		assert_string_equal(peer_events(server), "");
		peer_free(server);
	}
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

		fail_at = i == 1 ? 0 : 1;
		assert_true(wisp_session_feed(client->session, copy, sizeof heard - 1));
		free(copy);
		/* Once there is a place for it, there is one for each. */
		assert_int_equal(fail_at, i == 2);
		fail_at = 0;
		assert_int_equal(stream->received_packets, i);
	}
	assert_string_equal(buffer_text(&stream->received), "hellohello");
	peer_free(client);
}

/* ---- keys ---- */

static bool
read_key(void)
{
	const char *error = NULL;
	struct wisp_key *const key = wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error);

	assert_true(key != NULL || error != NULL);
	wisp_key_free(key);
	return key != NULL;
}

static bool
read_public_keys(void)
{
	const char *text = PUBLIC_A SSH_B;
	size_t n = strlen(text);
	struct wisp_public_key key;
	const bool first = wisp_public_key_next(&text, &n, &key) == WISP_KEY_FOUND;
	const bool second = wisp_public_key_next(&text, &n, &key) == WISP_KEY_FOUND;

	assert_int_equal(wisp_public_key_next(&text, &n, &key), WISP_KEY_END);
	return first && second;
}

static struct wisp_key *signing_key;
static struct wisp_public_key verifying_key;
static uint8_t signature[WISP_KEY_SIGNATURE_SIZE];

static bool
sign(void)
{
	return wisp_key_sign(signing_key, (const uint8_t *)"challenge", 9, signature);
}

static bool
verify(void)
{
	return wisp_public_key_verify(
		&verifying_key, (const uint8_t *)"challenge", 9, signature, WISP_KEY_SIGNATURE_SIZE);
}

/* Each allocation fails once: the work is refused, or done all the same, and the next time it is done. */
static void
fail_each(bool (*work)(void), bool may_fail)
{
	bool refused = false;

	assert_true(work()); /* what OpenSSL keeps for good is there from now on */
	for (int i = 1;; i++) {
		crypto_failures = 0;
		crypto_fail_at = i;
		refused |= !work();
		crypto_fail_at = 0;
		if (crypto_failures == 0)
			break;
		assert_true(work());
	}
	assert_int_equal(refused, may_fail);
}

static void
keys_need_memory(void **state)
{
	const char *text = SSH_A, *error;
	size_t n = strlen(text);

	(void)state;
	fail_at = 1;
	assert_null(wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error));
	assert_string_equal(error, "out of memory");
	signing_key = wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error);
	assert_non_null(signing_key);
	assert_int_equal(wisp_public_key_next(&text, &n, &verifying_key), WISP_KEY_FOUND);
	fail_each(read_key, true);
	fail_each(read_public_keys, true);
	fail_each(sign, true);
	fail_each(verify, true);
	wisp_key_free(signing_key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_need_memory),
		cmocka_unit_test(streams_need_memory),
		cmocka_unit_test(connect_without_memory_ends_the_session),
		cmocka_unit_test(datagrams_in_pieces_need_memory),
		cmocka_unit_test(keys_need_memory),
	};

	/* Before OpenSSL allocates anything. */
	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
		return 1;
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
