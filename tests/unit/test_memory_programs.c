/*
 * What the programs do without memory while they run: the modules around libwisp that allocate, with each allocation
 * failing in its turn, libevent's and OpenSSL's among them. Each says that it failed, or loses what may be lost, and
 * leaves nothing behind.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <sys/socket.h>

#include "accounts.h"
#include "credentials.h"
#include "datagrams.h"
#include "dial.h"
#include "listener.h"
#include "log.h"
#include "memory.h"
#include "proxy.h"
#include "relay.h"
#include "resolver.h"
#include "url.h"

static struct event_base *base;

/* Without an answer that there should have been, there must have been a reason. */
static bool
is_good(bool answer)
{
	assert_true(answer || memory_failures() > 0);
	return answer;
}

/* libevent says why on standard error, unless it is told to say it here. */
static void
say_nothing(int severity, const char *message)
{
	(void)severity, (void)message;
}

/* ---- relays ---- */

#define WRITE_SIZE 60000
#define WRITES 20

static bool
on_readable(void *arg)
{
	(void)arg;
	return true;
}

static void
on_relay(void *arg)
{
	(void)arg;
}

static const struct relay_callbacks relay_callbacks = {on_readable, on_relay, on_relay, on_relay};

static uint8_t
byte_at(size_t at)
{
	return (uint8_t)(at * 7 / 5);
}

/* Take what there is at the other end of a relay, which goes on at *at. */
static void
take(int fd, size_t *at)
{
	static uint8_t p[WRITE_SIZE];
	ssize_t n;

	while ((n = recv(fd, p, sizeof p, 0)) > 0) {
		bool right = true;

		for (ssize_t i = 0; i < n; i++)
			right &= p[i] == byte_at((*at)++);
		assert_true(right);
	}
}

/* More than the socket takes: it waits, or the relay is broken. What has arrived by then is right. */
static void
relay_more_than_fits(void)
{
	static uint8_t p[WRITE_SIZE];
	size_t total = 0, sent = 0, received = 0;
	struct relay *relay = relay_new(&relay_callbacks, NULL, &total);
	int fds[2];

	if (!is_good(relay != NULL))
		return;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	relay_limit_stall(relay, 60000);
	if (!is_good(relay_open(relay, base, fds[0]))) {
		relay_free(relay);
		close(fds[0]);
		close(fds[1]);
		return;
	}
	for (int i = 0; i < WRITES; i++) {
		for (size_t k = 0; k < sizeof p; k++)
			p[k] = byte_at(sent + k);
		if (!is_good(relay_write(relay, p, sizeof p)))
			break;
		sent += sizeof p;
		assert_int_equal(total, relay_backlog(relay));
	}
	if (relay_state(relay) == RELAY_BROKEN) {
		assert_int_equal(relay_error(relay), ENOMEM);
		assert_false(relay_write(relay, "x", 1)); /* there is a gap now */
	} else {
		assert_true(total > 0);
		while (relay_backlog(relay) > 0) {
			take(fds[1], &received);
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
	}
	take(fds[1], &received);
	if (relay_state(relay) != RELAY_BROKEN)
		assert_int_equal(received, sent);
	relay_abort(relay);
	assert_int_equal(total, 0);
	close(fds[1]);
}

/* ---- datagrams ---- */

/* Each is there whole, or counted as dropped. */
static void
keep_datagrams(void)
{
	struct datagram_pool pool;
	struct datagram_flow flows[2];
	uint8_t p[4];
	size_t size, found = 0;

	datagram_pool_init(&pool, 1000);
	for (size_t i = 0; i < COUNT(flows); i++)
		datagram_flow_init(&flows[i], &pool);
	for (uint8_t i = 0; i < 8; i++)
		datagram_push(&flows[i % 2], (uint8_t[]){i, i, i, i}, sizeof p);
	for (size_t i = 0; i < COUNT(flows); i++)
		for (; datagram_pop(&flows[i], p, sizeof p, &size); found++)
			assert_true(size == sizeof p && p[0] % 2 == i && p[0] == p[3]);
	assert_int_equal(found + pool.dropped, 8);
	assert_true(is_good(pool.dropped == 0) || pool.dropped == memory_failures());
	assert_int_equal(pool.used_bytes, 0);
}

/* ---- credentials ---- */

static char path[] = "/tmp/wisp-memory-XXXXXX";

static int
write_file(void **state)
{
	static const char text[] = "user:password\nother:secret\n";
	const int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	return close(fd);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

/* Nobody comes in that should not. */
static void
read_accounts(void)
{
	struct accounts *const accounts = accounts_read("user-file", path);
	enum wisp_password verdict;

	if (!is_good(accounts != NULL))
		return;
	verdict = accounts_check(accounts, "other", 5, "secret", 6);
	assert_int_not_equal(verdict, WISP_PASSWORD_WRONG);
	is_good(verdict == WISP_PASSWORD_RIGHT);
	verdict = accounts_check(accounts, "user", 4, "secret", 6);
	assert_int_not_equal(verdict, WISP_PASSWORD_RIGHT);
	is_good(verdict == WISP_PASSWORD_WRONG);
	accounts_free(accounts);
}

static void
load_credentials(void)
{
	const struct credentials_options options = {.user = "user", .password_file = path};
	struct credentials credentials;

	if (is_good(credentials_load(&credentials, &options)))
		assert_string_equal(credentials.password, "user:password");
	else
		assert_null(credentials.password);
	credentials_free(&credentials);
}

/* ---- the way to a server ---- */

static void
read_proxy(void)
{
	struct proxy_settings settings;

	if (!is_good(proxy_settings_init(&settings, "http://us%20er:pass@proxy:81")))
		return;
	assert_string_equal(settings.tls->host, "proxy");
	assert_string_equal(settings.tls->user, "us er");
	assert_string_equal(settings.tls->password, "pass");
}

static void
follow_redirect(void)
{
	struct url from, to;

	assert_null(url_parse("ws://host/wisp/", &from));
	if (is_good(url_resolve(&from, "../other/?a=b", &to) == NULL))
		assert_string_equal(to.text, "ws://host/other/?a=b");
}

/* ---- names ---- */

static bool answered;

static void
on_found(enum resolver_result result, const struct addresses *found, void *arg)
{
	(void)arg;
	if (is_good(result == RESOLVER_FOUND))
		assert_int_equal(found->items[0].storage.ss_family, AF_INET);
	answered = true;
}

/* A query is refused, or has an answer, or is forgotten. */
static void
look_up(void)
{
	struct resolver *const resolver = resolver_new(base);
	struct resolver_query *query;

	if (!is_good(resolver != NULL))
		return;
	for (int cancelled = 0; cancelled < 2; cancelled++) {
		answered = false;
		query = resolver_lookup(resolver, NULL, "127.0.0.1", 80, on_found, NULL);
		if (is_good(query != NULL) && cancelled)
			resolver_cancel(query);
		event_base_loop(base, EVLOOP_NONBLOCK);
		assert_int_equal(answered, query != NULL && !cancelled);
	}
	resolver_free(resolver);
	event_base_loop(base, EVLOOP_NONBLOCK); /* which frees what evdns keeps for later */
}

/* ---- dials ---- */

static struct dial_result dialed;

static bool
allow(void *arg, const struct sockaddr *address)
{
	(void)arg, (void)address;
	return true;
}

static bool
accept_socket(void *arg, int fd)
{
	(void)arg, (void)fd;
	return true;
}

static bool
on_dialed(void *arg, const struct dial_result *result)
{
	(void)arg;
	dialed = *result;
	answered = true;
	return false;
}

static const struct dial_callbacks dial_callbacks = {allow, accept_socket, on_dialed};

/* It does not begin, or comes to an end that says what was missing. */
static void
dial_somewhere(void)
{
	size_t sockets = 1, sockets_max = 10;
	struct dialer dialer = {base, resolver_new(base), &sockets, &sockets_max};
	struct dial *dial;

	if (!is_good(dialer.resolver != NULL))
		return;
	answered = false;
	dial = dial_start(&dialer, NULL, "127.0.0.1", 1, SOCK_STREAM, &dial_callbacks, NULL);
	while (is_good(dial != NULL) && !answered)
		event_base_loop(base, EVLOOP_ONCE);
	if (dial != NULL)
		assert_true(dialed.fd == -1 && (dialed.error == ECONNREFUSED || memory_failures() > 0));
	assert_int_equal(sockets, 1);
	resolver_free(dialer.resolver);
}

/* ---- listeners ---- */

static void
on_accept(evutil_socket_t fd, const struct sockaddr *from, void *arg)
{
	(void)from, (void)arg;
	close(fd);
}

static void
listen_somewhere(void)
{
	struct endpoint endpoint = {.fd = -1};
	struct sockaddr_in *const in = (struct sockaddr_in *)&endpoint.address.storage;
	struct listener *listener;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	endpoint.address.size = sizeof *in;
	listener = listener_new(base, &endpoint, on_accept, NULL);
	is_good(listener != NULL);
	listener_free(listener);
}

/* ---- all of them ---- */

static int
begin(void **state)
{
	base = event_base_new();
	assert_non_null(base);
	return write_file(state);
}

static int
end(void **state)
{
	event_base_free(base);
	return remove_file(state);
}

static size_t
count_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
programs_go_on_without_memory(void **state)
{
	static void (*const works[])(void) = {relay_more_than_fits, keep_datagrams, read_accounts, load_credentials,
		read_proxy, follow_redirect, look_up, dial_somewhere, listen_somewhere};
	const size_t descriptors = count_descriptors();

	(void)state;
	for (size_t i = 0; i < COUNT(works); i++) {
		memory_fail_each(works[i]);
		assert_int_equal(count_descriptors(), descriptors);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(programs_go_on_without_memory, begin, end),
	};

	memory_take_openssl();
	event_set_mem_functions(memory_alloc, memory_realloc, memory_free);
	event_set_log_callback(say_nothing);
	log_set_level(-1);
	return cmocka_run_group_tests_name("memory_programs", tests, NULL, NULL);
}
