/* An HTTP proxy: CONNECT and its answer (RFC 9110 section 9.3.6). */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "proxy_handshake.h"
#include "proxy_protocol.h"

/* What each answer begins with. */
#define VERSION "HTTP/1."

/* The credentials for Basic authentication (RFC 7617), in base64; "" for none. */
static void
encode_credentials(const struct proxy *proxy, char text[PROXY_BASE64_SIZE])
{
	char both[PROXY_CREDENTIALS_MAX + 1];
	int n;

	text[0] = '\0';
	if (!proxy->has_credentials)
		return;
	n = snprintf(both, sizeof both, "%s:%s", proxy->user, proxy->password); /* which have room, as proxy.c checks */
	EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)both, n);
}

static void
begin_http(struct proxy_handshake *handshake)
{
	char target[ADDRESS_JOINED_SIZE], credentials[PROXY_BASE64_SIZE];
	const bool knows = handshake->proxy->has_credentials;
	int n;

	address_join(handshake->url->host, handshake->url->port, target);
	encode_credentials(handshake->proxy, credentials);
	n = snprintf((char *)handshake->message, sizeof handshake->message,
		"CONNECT %s HTTP/1.1\r\n"
		"Host: %s\r\n"
		"%s%s%s"
		"\r\n",
		target, target, knows ? "Proxy-Authorization: Basic " : "", credentials, knows ? "\r\n" : "");
	handshake->message_size = (size_t)n; /* there is room for the longest of each */
}

/* Where the head ends in n bytes: behind an empty line. 0 when it does not yet. */
static size_t
head_end(const uint8_t *p, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (p[i] != '\n')
			continue;
		if (p[i - 1] == '\n' || (i >= 2 && p[i - 1] == '\r' && p[i - 2] == '\n'))
			return i + 1;
	}
	return 0;
}

/* The status in the head of an answer; 0 when it is not HTTP/1. */
static unsigned
read_status(const uint8_t *head, size_t n)
{
	const uint8_t *p = head + strlen(VERSION "1 ");

	if (n < strlen(VERSION "1 200\n") || p[-1] != ' ')
		return 0;
	for (int i = 0; i < 3; i++)
		if (p[i] < '0' || p[i] > '9')
			return 0;
	if (p[3] != ' ' && p[3] != '\r' && p[3] != '\n')
		return 0;
	return (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
}

static enum proxy_verdict
judge_status(const struct proxy_handshake *handshake, unsigned status, struct failure *failure)
{
	char why[16];

	snprintf(why, sizeof why, "HTTP %u", status);
	if (status == 0)
		return proxy_is_none(handshake, failure);
	if (status >= 200 && status < 300)
		return PROXY_OPEN;
	if (status == 407 || status == 401)
		return proxy_wants_credentials(handshake, why, failure);
	if (status >= 500 || status == 408 || status == 429)
		return proxy_cannot_connect(handshake, why, failure);
	return proxy_refuses(handshake, why, failure);
}

static enum proxy_verdict
take_http(struct proxy_handshake *handshake, size_t n, size_t *end, struct failure *failure)
{
	const size_t begun = n < strlen(VERSION) ? n : strlen(VERSION);
	const size_t size = head_end(handshake->answer, n);

	*end = size > 0 ? size : n;
	/* What is no answer may never have an end either. */
	if (memcmp(handshake->answer, VERSION, begun) != 0)
		return proxy_is_none(handshake, failure);
	return size > 0 ? judge_status(handshake, read_status(handshake->answer, size), failure) : PROXY_MORE;
}

const struct proxy_protocol proxy_http = {"HTTP", begin_http, take_http};
