/*
 * What happens when there is no memory: the one thing is refused, and nothing leaks or breaks. To be linked with
 * -Wl,--wrap=malloc,--wrap=calloc
 */
#include "unit.h"

#include <stdlib.h>

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_need_memory),
		cmocka_unit_test(streams_need_memory),
		cmocka_unit_test(connect_without_memory_ends_the_session),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
