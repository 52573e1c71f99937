#include "proxy_handshake.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <sys/socket.h>

#include "proxy_protocol.h"

static const struct proxy_protocol *
find_protocol(enum proxy_kind kind)
{
	switch (kind) {
	case PROXY_SOCKS4A:
		return &proxy_socks4a;
	case PROXY_SOCKS5:
	case PROXY_SOCKS5H:
		return &proxy_socks5;
	case PROXY_HTTP:
		break;
	}
	return &proxy_http;
}

void
proxy_handshake_begin(struct proxy_handshake *handshake, const struct proxy *proxy, const struct url *url,
	const struct address *target)
{
	handshake->protocol = find_protocol(proxy->kind);
	handshake->proxy = proxy;
	handshake->url = url;
	handshake->target = target;
	handshake->step = 0;
	handshake->sent_size = handshake->answer_size = 0;
	handshake->protocol->begin(handshake);
}

/* ---- failures ---- */

enum proxy_verdict
proxy_is_none(const struct proxy_handshake *handshake, struct failure *failure)
{
	const struct proxy *proxy = handshake->proxy;

	failure_set(failure, FAILURE_ANSWERED, "what answers at %s is no %s proxy; check %s", proxy->name,
		handshake->protocol->name, proxy->origin);
	return PROXY_OVER;
}

enum proxy_verdict
proxy_cannot_connect(const struct proxy_handshake *handshake, const char *why, struct failure *failure)
{
	failure_set(failure, FAILURE_PASSING, "the proxy %s cannot connect to %s (%s)", handshake->proxy->name,
		handshake->url->authority, why);
	return PROXY_OVER;
}

enum proxy_verdict
proxy_refuses(const struct proxy_handshake *handshake, const char *why, struct failure *failure)
{
	failure_set(failure, FAILURE_ANSWERED,
		"the proxy %s refuses to connect to %s (%s); ask its operator, or see --proxy", handshake->proxy->name,
		handshake->url->authority, why);
	return PROXY_OVER;
}

enum proxy_verdict
proxy_wants_credentials(const struct proxy_handshake *handshake, const char *why, struct failure *failure)
{
	const struct proxy *proxy = handshake->proxy;

	if (proxy->has_credentials)
		failure_set(failure, FAILURE_ANSWERED, "the proxy %s refuses the credentials (%s); check them in %s",
			proxy->name, why, proxy->origin);
	else
		failure_set(failure, FAILURE_ANSWERED,
			"the proxy %s wants credentials (%s); give them as %s://USER:PASSWORD@%s in %s", proxy->name,
			why, proxy->scheme, proxy->name, proxy->origin);
	return PROXY_OVER;
}

/* ---- the socket ---- */

/* Nothing for now, or the end. */
static void
check_error(const struct proxy_handshake *handshake, ssize_t n, struct failure *failure)
{
	if (n == 0)
		failure_set(failure, FAILURE_PASSING,
			"the proxy %s closed the connection instead of an answer; check that it speaks %s",
			handshake->proxy->name, handshake->protocol->name);
	else if (errno != EAGAIN && errno != EINTR)
		failure_set(failure, FAILURE_PASSING, "the proxy %s: %s", handshake->proxy->name, strerror(errno));
}

static bool
send_message(struct proxy_handshake *handshake, int fd, struct failure *failure)
{
	while (handshake->sent_size < handshake->message_size) {
		const ssize_t n = send(fd, handshake->message + handshake->sent_size,
			handshake->message_size - handshake->sent_size, MSG_NOSIGNAL);

		if (n <= 0) {
			check_error(handshake, n, failure);
			return false;
		}
		handshake->sent_size += (size_t)n;
	}
	OPENSSL_cleanse(handshake->message, handshake->message_size); /* there may be a password in it */
	return true;
}

/* Read what there is of an answer. It is looked at before it is taken, for what follows is not ours. */
static enum proxy_verdict
read_answer(struct proxy_handshake *handshake, int fd, struct failure *failure)
{
	uint8_t *p = handshake->answer + handshake->answer_size;
	ssize_t n = recv(fd, p, sizeof handshake->answer - handshake->answer_size, MSG_PEEK);
	enum proxy_verdict verdict;
	size_t end;

	if (n <= 0) {
		check_error(handshake, n, failure);
		return PROXY_OVER;
	}
	verdict = handshake->protocol->take(handshake, handshake->answer_size + (size_t)n, &end, failure);
	if (verdict == PROXY_OVER)
		return verdict;
	n = recv(fd, p, end - handshake->answer_size, 0);
	if (n < 0) {
		check_error(handshake, n, failure);
		return PROXY_OVER;
	}
	handshake->answer_size = verdict == PROXY_MORE ? end : 0;
	if (verdict == PROXY_MORE && end == sizeof handshake->answer) {
		failure_set(failure, FAILURE_ANSWERED, "the answer of the proxy %s is too long; check %s",
			handshake->proxy->name, handshake->proxy->origin);
		return PROXY_OVER;
	}
	return verdict;
}

bool
proxy_handshake_advance(struct proxy_handshake *handshake, int fd, struct failure *failure)
{
	enum proxy_verdict verdict;

	do {
		if (!send_message(handshake, fd, failure))
			return false;
		verdict = read_answer(handshake, fd, failure);
	} while (verdict == PROXY_MORE || verdict == PROXY_SAY);
	return verdict == PROXY_OPEN;
}
