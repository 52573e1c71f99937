#include "stranger.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The types of TLS records (RFC 8446 section 5.1) and of HTTP/2 frames (RFC 9113 section 6) that may come first. */
#define TLS_ALERT 21
#define TLS_HANDSHAKE 22
#define TLS_MAJOR 3
#define HTTP2_SETTINGS 4
#define HTTP2_GOAWAY 7
#define SOCKS5_VERSION 5

static bool
begins_with(const void *p, size_t n, const char *text)
{
	return n >= strlen(text) && memcmp(p, text, strlen(text)) == 0;
}

static bool
is_tls(const uint8_t *p, size_t n)
{
	return n >= 2 && (p[0] == TLS_ALERT || p[0] == TLS_HANDSHAKE) && p[1] == TLS_MAJOR;
}

/* A small frame of the connection itself. */
static bool
is_http2(const uint8_t *p, size_t n)
{
	static const uint8_t connection[4];

	return n >= STRANGER_SIZE && p[0] == 0 && (p[3] == HTTP2_SETTINGS || p[3] == HTTP2_GOAWAY) &&
	       memcmp(p + 5, connection, sizeof connection) == 0;
}

void
stranger_answers(struct failure *failure, const void *p, size_t n)
{
	if (is_tls(p, n))
		failure_set(failure, FAILURE_ANSWERED,
			"the port speaks TLS, not plain HTTP: begin the URL with wss:// instead of ws://");
	else if (is_http2(p, n) || begins_with(p, n, "HTTP/"))
		failure_set(failure, FAILURE_ANSWERED,
			"the port speaks another version of HTTP only: the server, or the proxy in front of it, must "
			"allow HTTP/1.1");
	else if (n >= 1 && n <= 2 && *(const uint8_t *)p == SOCKS5_VERSION)
		failure_set(failure, FAILURE_ANSWERED,
			"the port speaks SOCKS5, not HTTP: the URL must be the Wisp server's; name a proxy with "
			"--proxy");
	else if (begins_with(p, n, "SSH-"))
		failure_set(failure, FAILURE_ANSWERED, "the port does not speak HTTP but SSH; check the port");
	else
		failure_set(failure, FAILURE_ANSWERED, "the port does not speak HTTP; check the port");
}

void
stranger_has_no_tls(struct failure *failure, const void *p, size_t n)
{
	if (begins_with(p, n, "HTTP"))
		failure_set(failure, FAILURE_LASTING,
			"the port speaks HTTP without TLS: check the port, or begin the URL with ws:// instead of "
			"wss://");
	else if (begins_with(p, n, "SSH-"))
		failure_set(failure, FAILURE_LASTING, "the port does not speak TLS but SSH; check the port");
	else
		failure_set(failure, FAILURE_PASSING,
			"the port does not speak TLS: check the port, or begin the URL with ws:// instead of wss://");
}
