#include "carrier.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

void
carrier_init(struct carrier *carrier, int fd, struct ssl_st *ssl)
{
	memset(carrier, 0, sizeof *carrier);
	carrier->fd = fd;
	carrier->ssl = ssl;
	if (ssl != NULL)
		SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

void
carrier_clear(struct carrier *carrier)
{
	free(carrier->kept);
	memset(carrier, 0, sizeof *carrier);
	carrier->fd = -1;
}

/* Empty OpenSSL's queue of errors, which hardly ever has any: to look costs less than to empty it each time. */
static void
clear_tls_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/*
 * Translate the result of a call to OpenSSL. OpenSSL's error queue must be empty before the call, and is empty
 * afterwards.
 */
static ssize_t
tls_result(struct carrier *carrier, int result)
{
	const int saved = errno;
	int error;

	if (result > 0)
		return result;
	error = SSL_get_error(carrier->ssl, result);
	clear_tls_errors();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return CARRIER_NOTHING;
	carrier->error = error == SSL_ERROR_SYSCALL && result < 0 ? saved : 0;
	return CARRIER_OVER;
}

static ssize_t
socket_result(struct carrier *carrier, ssize_t result)
{
	if (result > 0)
		return result;
	if (result < 0 && (errno == EAGAIN || errno == EINTR))
		return CARRIER_NOTHING;
	carrier->error = result < 0 ? errno : 0;
	return CARRIER_OVER;
}

ssize_t
carrier_read(struct carrier *carrier, void *p, size_t n)
{
	if (carrier->ssl == NULL)
		return socket_result(carrier, recv(carrier->fd, p, n, 0));
	clear_tls_errors();
	errno = 0;
	return tls_result(carrier, SSL_read(carrier->ssl, p, (int)n));
}

/* Write what fits. Returns the number of bytes, or CARRIER_OVER. */
static ssize_t
write_some(struct carrier *carrier, const uint8_t *p, size_t n)
{
	size_t written = 0;

	while (written < n) {
		ssize_t result;

		if (carrier->ssl != NULL) {
			clear_tls_errors();
			errno = 0;
			result = tls_result(carrier, SSL_write(carrier->ssl, p + written, (int)(n - written)));
		} else {
			result = socket_result(carrier, send(carrier->fd, p + written, n - written, MSG_NOSIGNAL));
		}
		if (result == CARRIER_OVER)
			return CARRIER_OVER;
		if (result == CARRIER_NOTHING)
			break;
		written += (size_t)result;
	}
	return (ssize_t)written;
}

bool
carrier_write(struct carrier *carrier, const void *p, size_t n)
{
	const ssize_t written = write_some(carrier, p, n);

	if (written < 0 || (size_t)written == n)
		return written >= 0;
	carrier->kept_size = n - (size_t)written;
	carrier->kept_from = 0;
	carrier->kept = malloc(carrier->kept_size);
	if (carrier->kept == NULL) {
		carrier->error = ENOMEM;
		return false;
	}
	memcpy(carrier->kept, (const uint8_t *)p + written, carrier->kept_size);
	return true;
}

bool
carrier_flush(struct carrier *carrier)
{
	ssize_t written;

	if (carrier->kept == NULL)
		return true;
	written = write_some(carrier, carrier->kept + carrier->kept_from, carrier->kept_size - carrier->kept_from);
	if (written < 0)
		return false;
	carrier->kept_from += (size_t)written;
	if (carrier->kept_from == carrier->kept_size) {
		free(carrier->kept);
		carrier->kept = NULL;
	}
	return true;
}

bool
carrier_keeps(const struct carrier *carrier)
{
	return carrier->kept != NULL;
}

bool
carrier_is_full(const struct carrier *carrier)
{
	struct pollfd pollfd = {.fd = carrier->fd, .events = POLLOUT};

	return carrier->kept != NULL || poll(&pollfd, 1, 0) != 1 || !(pollfd.revents & POLLOUT);
}
