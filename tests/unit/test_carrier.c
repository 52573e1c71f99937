/* An open connection's bytes, with TLS and without: what does not fit is kept, and each end is told for what it is. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "carrier.h"

/* More than a socket takes at once. */
#define MUCH ((size_t)4 * 1024 * 1024)

struct pair {
	SSL_CTX *contexts[2];
	SSL *ssl[2];
	int fds[2];
	struct carrier carriers[2];
};

/* TLS without certificates, which is enough to carry bytes. */
static SSL *
open_tls(struct pair *pair, int i)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	pair->contexts[i] = context;
	assert_int_equal(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_CTX_set_cipher_list(context, "aNULL:@SECLEVEL=0"), 1);
	pair->ssl[i] = SSL_new(context);
	assert_int_equal(SSL_set_fd(pair->ssl[i], pair->fds[i]), 1);
	return pair->ssl[i];
}

static void
open_pair(struct pair *pair, bool tls)
{
	memset(pair, 0, sizeof *pair);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
	if (tls) {
		SSL_set_connect_state(open_tls(pair, 0));
		SSL_set_accept_state(open_tls(pair, 1));
		for (int i = 0; i < 20 && !(SSL_is_init_finished(pair->ssl[0]) && SSL_is_init_finished(pair->ssl[1]));
			i++)
			SSL_do_handshake(pair->ssl[i % 2]);
		assert_true(SSL_is_init_finished(pair->ssl[0]) && SSL_is_init_finished(pair->ssl[1]));
		ERR_clear_error();
	}
	for (int i = 0; i < 2; i++)
		carrier_init(&pair->carriers[i], pair->fds[i], pair->ssl[i]);
}

static void
close_pair(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		carrier_clear(&pair->carriers[i]);
		SSL_free(pair->ssl[i]);
		SSL_CTX_free(pair->contexts[i]);
		if (pair->fds[i] >= 0)
			close(pair->fds[i]);
	}
	ERR_clear_error();
}

static void
close_end(struct pair *pair, int i)
{
	close(pair->fds[i]);
	pair->fds[i] = -1;
}

/* Something that OpenSSL has to complain about, and nobody asks for. */
static void
leave_an_error(void)
{
	assert_null(BIO_new_file("/no/such/file", "r"));
	assert_int_not_equal(ERR_peek_error(), 0);
}

static void
bytes_arrive(struct pair *pair)
{
	char text[16];

	assert_int_equal(carrier_read(&pair->carriers[1], text, sizeof text), CARRIER_NOTHING);
	assert_true(carrier_write(&pair->carriers[0], "hello", 5));
	assert_false(carrier_keeps(&pair->carriers[0]));
	assert_int_equal(carrier_read(&pair->carriers[1], text, sizeof text), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(carrier_read(&pair->carriers[1], text, sizeof text), CARRIER_NOTHING);
}

static void
what_does_not_fit_is_kept(struct pair *pair)
{
	uint8_t *const sent = malloc(MUCH), *const got = malloc(MUCH);
	size_t size = 0;

	assert_true(sent != NULL && got != NULL);
	for (size_t i = 0; i < MUCH; i++)
		sent[i] = (uint8_t)(i * 31 >> 7);
	assert_false(carrier_is_full(&pair->carriers[0]));
	assert_true(carrier_write(&pair->carriers[0], sent, MUCH));
	assert_true(carrier_keeps(&pair->carriers[0]) && carrier_is_full(&pair->carriers[0]));
	while (size < MUCH) {
		const ssize_t n = carrier_read(&pair->carriers[1], got + size, MUCH - size);

		assert_int_not_equal(n, CARRIER_OVER);
		size += (size_t)n;
		assert_true(carrier_flush(&pair->carriers[0]));
	}
	assert_memory_equal(sent, got, MUCH);
	assert_false(carrier_keeps(&pair->carriers[0]));
	assert_true(carrier_flush(&pair->carriers[0]));
	free(sent);
	free(got);
}

static void
ends_are_told(struct pair *pair)
{
	char text[16];

	assert_true(carrier_write(&pair->carriers[0], "bye", 3));
	close_end(pair, 0);
	assert_int_equal(carrier_read(&pair->carriers[1], text, sizeof text), 3);
	assert_int_equal(carrier_read(&pair->carriers[1], text, sizeof text), CARRIER_OVER);
	assert_int_equal(pair->carriers[1].error, 0);
	assert_false(carrier_write(&pair->carriers[1], "x", 1));
	if (pair->ssl[1] == NULL) /* TLS knows that it is broken, and does not ask the socket again */
		assert_int_equal(pair->carriers[1].error, EPIPE);
}

/* What other calls have left in OpenSSL's queue says nothing of this connection, nor is anything left for others. */
static void
errors_of_others_do_not_count(struct pair *pair)
{
	char text[16];

	leave_an_error();
	assert_int_equal(carrier_read(&pair->carriers[1], text, sizeof text), CARRIER_NOTHING);
	leave_an_error();
	what_does_not_fit_is_kept(pair);
	ERR_clear_error();
	close_end(pair, 0);
	assert_int_equal(carrier_read(&pair->carriers[1], text, sizeof text), CARRIER_OVER);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
in_both_ways(void (*check)(struct pair *pair))
{
	for (int tls = 0; tls < 2; tls++) {
		struct pair pair;

		open_pair(&pair, tls != 0);
		check(&pair);
		close_pair(&pair);
	}
}

static void
test_bytes_arrive(void **state)
{
	(void)state;
	in_both_ways(bytes_arrive);
}

static void
test_what_does_not_fit_is_kept(void **state)
{
	(void)state;
	in_both_ways(what_does_not_fit_is_kept);
}

static void
test_ends_are_told(void **state)
{
	(void)state;
	in_both_ways(ends_are_told);
}

static void
test_errors_of_others_do_not_count(void **state)
{
	struct pair pair;

	(void)state;
	open_pair(&pair, true);
	errors_of_others_do_not_count(&pair);
	close_pair(&pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_arrive),
		cmocka_unit_test(test_what_does_not_fit_is_kept),
		cmocka_unit_test(test_ends_are_told),
		cmocka_unit_test(test_errors_of_others_do_not_count),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
