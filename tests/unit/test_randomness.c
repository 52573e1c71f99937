/*
 * What happens when OpenSSL gives no randomness: nothing is sent that others could foresee. Linked with
 * -Wl,--wrap=RAND_bytes
 */
#include "unit.h"

#include <string.h>

#include <wisp/upgrade.h>

#include "peer.h"

int __real_RAND_bytes(unsigned char *p, int n);
int __wrap_RAND_bytes(unsigned char *p, int n);

static bool lacks;

int
__wrap_RAND_bytes(unsigned char *p, int n)
{
	return lacks ? 0 : __real_RAND_bytes(p, n);
}

static int
suffice(void **state)
{
	(void)state;
	lacks = false;
	return 0;
}

static void
upgrade_needs_randomness(void **state)
{
	char key[WISP_UPGRADE_KEY_SIZE];

	(void)state;
	lacks = true;
	assert_false(wisp_upgrade_key(key));
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	(void)arg, (void)hash;
	return NULL;
}

/* A server that would have clients sign what others know lets nobody in. One that asks for no key does. */
static void
challenge_needs_randomness(void **state)
{
	const struct wisp_server_options asks = {.credit = 1, .find_key = find_key}, asks_not = {.credit = 1};
	struct peer *server;

	(void)state;
	lacks = true;
	server = peer_new_server_with(&asks, 2);
	assert_string_equal(wisp_session_error(server->session), "no randomness for a challenge");
	assert_string_equal(peer_pull_all(server), "CLOSE 0 0x01\nEND 1000\n");
	peer_free(server);
	server = peer_new_server_with(&asks_not, 2);
	assert_null(wisp_session_error(server->session));
	peer_free(server);
}

/* No frame leaves a client without a key that is new: whatever there is to send, the connection is over. */
static void
masks_need_randomness(void **state)
{
	enum {
		CONNECT,
		DATA,
		DATAGRAM,
		CLOSE,
		PING,
		END,
		CASES
	};

	(void)state;
	for (int i = 0; i < CASES; i++) {
		struct peer *const client = peer_new_ready_client(UINT32_MAX);
		struct peer_stream *const tcp = peer_open(client, WISP_TCP, "host");
		struct peer_stream *const udp = peer_open(client, WISP_UDP, "host");

		peer_pull_all(client);
		/* The keys are drawn many at a time. */
		for (int k = 0; k < 254; k++) {
			wisp_session_ping(client->session);
			peer_pull_all(client);
		}
		if (i == CONNECT)
			peer_open(client, WISP_TCP, "host");
		if (i == DATA)
			peer_write_text(tcp, "data");
		if (i == DATAGRAM)
			peer_write_text(udp, "datagram");
		if (i == CLOSE)
			peer_close(tcp, WISP_REASON_VOLUNTARY);
		if (i == PING)
			wisp_session_ping(client->session);
		if (i == END)
			wisp_session_shutdown(client->session, WISP_WS_NORMAL);
		lacks = true;
		assert_string_equal(peer_pull_all(client), "");
		assert_string_equal(wisp_session_error(client->session), "no randomness for masking keys");
		assert_string_equal(peer_pull_all(client), "");
		assert_false(wisp_session_pending(client->session));
		lacks = false;
		peer_free(client);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(upgrade_needs_randomness, suffice),
		cmocka_unit_test_teardown(challenge_needs_randomness, suffice),
		cmocka_unit_test_teardown(masks_need_randomness, suffice),
	};

	return cmocka_run_group_tests_name("randomness", tests, NULL, NULL);
}
