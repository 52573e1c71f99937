#include "proxy_handshake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sys/socket.h>

void
proxy_handshake_begin(struct proxy_handshake *handshake, const struct proxy *proxy, const struct url *url)
{
	const bool knows = proxy->credentials[0] != '\0';
	char target[ADDRESS_JOINED_SIZE];
	int n;

	handshake->proxy = proxy;
	handshake->url = url;
	handshake->sent_size = handshake->head_size = 0;
	address_join(url->host, url->port, target);
	n = snprintf(handshake->request, sizeof handshake->request,
		"CONNECT %s HTTP/1.1\r\n"
		"Host: %s\r\n"
		"%s%s%s"
		"\r\n",
		target, target, knows ? "Proxy-Authorization: Basic " : "", proxy->credentials, knows ? "\r\n" : "");
	handshake->request_size = (size_t)n; /* there is room for the longest of each */
}

unsigned
proxy_handshake_status(const char *head, size_t n)
{
	const char *p = head + strlen("HTTP/1.1 ");

	if (n < strlen("HTTP/1.1 200\n") || memcmp(head, "HTTP/1.", strlen("HTTP/1.")) != 0 || p[-1] != ' ')
		return 0;
	for (int i = 0; i < 3; i++)
		if (p[i] < '0' || p[i] > '9')
			return 0;
	if (p[3] != ' ' && p[3] != '\r' && p[3] != '\n')
		return 0;
	return (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
}

/* Judge the answer. Returns whether the way is open. */
static bool
judge(const struct proxy_handshake *handshake, struct failure *failure)
{
	const unsigned status = proxy_handshake_status(handshake->head, handshake->head_size);
	const char *name = handshake->proxy->name;
	char target[ADDRESS_JOINED_SIZE];

	if (status >= 200 && status < 300)
		return true;
	address_join(handshake->url->host, handshake->url->port, target);
	if (status == 0)
		failure_set(failure, FAILURE_ANSWERED, "what answers at %s is no HTTP proxy; check --proxy", name);
	else if ((status == 407 || status == 401) && handshake->proxy->credentials[0] != '\0')
		failure_set(failure, FAILURE_ANSWERED,
			"the proxy %s refuses the credentials (HTTP %u); check them in --proxy, or in the environment",
			name, status);
	else if (status == 407 || status == 401)
		failure_set(failure, FAILURE_ANSWERED,
			"the proxy %s wants credentials (HTTP %u); give them as http://USER:PASSWORD@%s, in --proxy "
			"or in the environment",
			name, status, name);
	else if (status >= 500 || status == 408 || status == 429)
		failure_set(
			failure, FAILURE_PASSING, "the proxy %s cannot connect to %s (HTTP %u)", name, target, status);
	else
		failure_set(failure, FAILURE_ANSWERED,
			"the proxy %s refuses to connect to %s (HTTP %u); ask who runs it, or see --proxy", name,
			target, status);
	return false;
}

/* Where the head ends in n bytes: behind an empty line. 0 when it does not yet. */
static size_t
head_end(const char *p, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (p[i] != '\n')
			continue;
		if (p[i - 1] == '\n' || (i >= 2 && p[i - 1] == '\r' && p[i - 2] == '\n'))
			return i + 1;
	}
	return 0;
}

/* Nothing for now, or the end. */
static void
check_error(const struct proxy_handshake *handshake, ssize_t n, struct failure *failure)
{
	if (n == 0)
		failure_set(failure, FAILURE_PASSING, "the proxy %s closed the connection", handshake->proxy->name);
	else if (errno != EAGAIN && errno != EINTR)
		failure_set(failure, FAILURE_PASSING, "the proxy %s: %s", handshake->proxy->name, strerror(errno));
}

static bool
send_request(struct proxy_handshake *handshake, int fd, struct failure *failure)
{
	while (handshake->sent_size < handshake->request_size) {
		const ssize_t n = send(fd, handshake->request + handshake->sent_size,
			handshake->request_size - handshake->sent_size, MSG_NOSIGNAL);

		if (n <= 0) {
			check_error(handshake, n, failure);
			return false;
		}
		handshake->sent_size += (size_t)n;
	}
	return true;
}

/* Read the head of the answer. It is looked at before it is taken, for what follows is not ours. */
static bool
read_head(struct proxy_handshake *handshake, int fd, struct failure *failure)
{
	size_t end = 0;

	while (end == 0) {
		char *p = handshake->head + handshake->head_size;
		const size_t room = sizeof handshake->head - handshake->head_size;
		ssize_t n = recv(fd, p, room, MSG_PEEK);

		if (n > 0) {
			end = head_end(handshake->head, handshake->head_size + (size_t)n);
			n = recv(fd, p, end > 0 ? end - handshake->head_size : (size_t)n, 0);
		}
		if (n <= 0) {
			check_error(handshake, n, failure);
			return false;
		}
		handshake->head_size += (size_t)n;
		if (end == 0 && handshake->head_size == sizeof handshake->head) {
			failure_set(failure, FAILURE_ANSWERED, "the answer of the proxy %s is too long; check --proxy",
				handshake->proxy->name);
			return false;
		}
	}
	return true;
}

bool
proxy_handshake_advance(struct proxy_handshake *handshake, int fd, struct failure *failure)
{
	return send_request(handshake, fd, failure) && read_head(handshake, fd, failure) && judge(handshake, failure);
}
