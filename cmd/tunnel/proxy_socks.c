/* SOCKS4a and SOCKS5 proxies. libwisp has the messages. */
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <wisp/socks4.h>
#include <wisp/socks5.h>

#include "proxy_handshake.h"
#include "proxy_protocol.h"

/* How much of an answer of `need` bytes has come. */
static size_t
part_of(size_t n, size_t need)
{
	return n < need ? n : need;
}

/* ---- SOCKS4a ---- */

static void
begin_socks4a(struct proxy_handshake *handshake)
{
	const struct url *url = handshake->url;
	uint8_t ipv4[4];
	/* There is no IPv6 in SOCKS4: an address of it is a name, which many proxies understand. */
	const bool is_ipv4 = inet_pton(AF_INET, url->host, ipv4) == 1;

	handshake->message_size =
		wisp_socks4_request_encode(handshake->message, &(struct wisp_socks4_request){
								       .port = url->port,
								       .ipv4 = ipv4,
								       .name = is_ipv4 ? NULL : url->host,
								       .user = handshake->proxy->user,
							       });
}

static enum proxy_verdict
judge_socks4a(const struct proxy_handshake *handshake, uint8_t reply, struct failure *failure)
{
	char why[32];

	switch ((enum wisp_socks4_reply)reply) {
	case WISP_SOCKS4_GRANTED:
		return PROXY_OPEN;
	case WISP_SOCKS4_FAILED:
		return proxy_cannot_connect(handshake, "SOCKS4 91: failed, or refused", failure);
	case WISP_SOCKS4_NO_IDENTD:
	case WISP_SOCKS4_OTHER_USER:
		failure_set(failure, FAILURE_ANSWERED,
			"the proxy %s rejects the user name (SOCKS4 %u, by identd); check the user name in %s",
			handshake->proxy->name, reply, handshake->proxy->origin);
		return PROXY_OVER;
	}
	snprintf(why, sizeof why, "SOCKS4 %u", reply);
	return proxy_refuses(handshake, why, failure);
}

static enum proxy_verdict
take_socks4a(struct proxy_handshake *handshake, size_t n, size_t *end, struct failure *failure)
{
	uint8_t reply;

	*end = part_of(n, WISP_SOCKS4_REPLY_SIZE);
	switch (wisp_socks4_reply_decode(handshake->answer, n, &reply)) {
	case WISP_SOCKS4_MORE:
		return PROXY_MORE;
	case WISP_SOCKS4_OK:
		return judge_socks4a(handshake, reply, failure);
	case WISP_SOCKS4_INVALID:
		break;
	}
	return proxy_is_none(handshake, failure);
}

const struct proxy_protocol proxy_socks4a = {"SOCKS4", begin_socks4a, take_socks4a};

/* ---- SOCKS5 ---- */

enum socks5_step {
	STEP_METHOD, /* the greeting has been sent */
	STEP_PASSWORD,
	STEP_REQUEST,
};

static void
begin_socks5(struct proxy_handshake *handshake)
{
	handshake->message_size = wisp_socks5_greeting_encode(handshake->message, handshake->proxy->has_credentials);
}

static enum proxy_verdict
say(struct proxy_handshake *handshake, enum socks5_step step, size_t size)
{
	handshake->step = step;
	handshake->message_size = size;
	handshake->sent_size = 0;
	return PROXY_SAY;
}

static enum proxy_verdict
say_password(struct proxy_handshake *handshake)
{
	const struct proxy *proxy = handshake->proxy;
	const struct wisp_socks5_password password = {
		proxy->user, strlen(proxy->user), proxy->password, strlen(proxy->password)};

	return say(handshake, STEP_PASSWORD, wisp_socks5_password_encode(handshake->message, &password));
}

/* The server's address, if it is known. Returns false when the proxy is to look it up. */
static bool
find_address(const struct proxy_handshake *handshake, uint8_t bytes[16], struct wisp_socks5_address *address)
{
	const struct url *url = handshake->url;

	*address = (struct wisp_socks5_address){.bytes = bytes, .size = 4, .port = url->port};
	if (handshake->target != NULL) {
		const struct sockaddr *sa = (const struct sockaddr *)&handshake->target->storage;

		address->size = sa->sa_family == AF_INET6 ? 16 : 4;
		memcpy(bytes,
			sa->sa_family == AF_INET6
				? (const void *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr
				: (const void *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr,
			address->size);
		return true;
	}
	if (inet_pton(AF_INET, url->host, bytes) == 1)
		return true;
	address->size = 16;
	return inet_pton(AF_INET6, url->host, bytes) == 1;
}

static enum proxy_verdict
say_request(struct proxy_handshake *handshake)
{
	const struct url *url = handshake->url;
	struct wisp_socks5_address address;
	uint8_t bytes[16];
	size_t size;

	if (find_address(handshake, bytes, &address))
		size = wisp_socks5_request_encode(handshake->message, WISP_SOCKS5_CONNECT, &address);
	else
		size = wisp_socks5_request_encode_name(
			handshake->message, WISP_SOCKS5_CONNECT, url->host, strlen(url->host), url->port);
	return say(handshake, STEP_REQUEST, size);
}

static enum proxy_verdict
judge_method(struct proxy_handshake *handshake, uint8_t method, struct failure *failure)
{
	if (method == WISP_SOCKS5_METHOD_NONE)
		return say_request(handshake);
	if (method == WISP_SOCKS5_METHOD_PASSWORD && handshake->proxy->has_credentials)
		return say_password(handshake);
	if (method == WISP_SOCKS5_METHOD_UNACCEPTABLE && handshake->proxy->has_credentials) {
		failure_set(failure, FAILURE_ANSWERED,
			"the proxy %s accepts neither a user name and password nor a client without; ask its operator",
			handshake->proxy->name);
		return PROXY_OVER;
	}
	return proxy_wants_credentials(handshake, "SOCKS5", failure);
}

static enum proxy_verdict
judge_reply(const struct proxy_handshake *handshake, uint8_t reply, struct failure *failure)
{
	static const char *const texts[] = {
		[WISP_SOCKS5_FAILURE] = "general failure",
		[WISP_SOCKS5_NOT_ALLOWED] = "not allowed",
		[WISP_SOCKS5_NETWORK_UNREACHABLE] = "network unreachable",
		[WISP_SOCKS5_HOST_UNREACHABLE] = "host unreachable",
		[WISP_SOCKS5_REFUSED] = "connection refused",
		[WISP_SOCKS5_TTL_EXPIRED] = "TTL expired",
		[WISP_SOCKS5_COMMAND_UNSUPPORTED] = "command not supported",
		[WISP_SOCKS5_ADDRESS_UNSUPPORTED] = "address type not supported",
	};
	char why[64];

	if (reply == WISP_SOCKS5_SUCCEEDED)
		return PROXY_OPEN;
	snprintf(why, sizeof why, "SOCKS5 %u: %s", reply,
		reply < sizeof texts / sizeof *texts ? texts[reply] : "unknown");
	if (reply == WISP_SOCKS5_NOT_ALLOWED || reply == WISP_SOCKS5_COMMAND_UNSUPPORTED ||
		reply >= sizeof texts / sizeof *texts)
		return proxy_refuses(handshake, why, failure);
	if (reply != WISP_SOCKS5_ADDRESS_UNSUPPORTED)
		return proxy_cannot_connect(handshake, why, failure);
	/* Another address of the server may be of the other family. */
	failure_set(failure, FAILURE_LASTING, "the proxy %s cannot connect to %s (%s); try %s", handshake->proxy->name,
		handshake->url->authority, why, handshake->target != NULL ? "socks5h://" : "socks5://");
	return PROXY_OVER;
}

/* Read the answer to what was said last. */
static enum wisp_socks5_result
decode(const struct proxy_handshake *handshake, size_t n, size_t *need, struct wisp_socks5_answer *answer, bool *good)
{
	switch ((enum socks5_step)handshake->step) {
	case STEP_METHOD:
		return wisp_socks5_method_reply_decode(handshake->answer, n, need, &answer->reply);
	case STEP_PASSWORD:
		return wisp_socks5_password_reply_decode(handshake->answer, n, need, good);
	case STEP_REQUEST:
		break;
	}
	return wisp_socks5_reply_decode(handshake->answer, n, need, answer);
}

static enum proxy_verdict
take_socks5(struct proxy_handshake *handshake, size_t n, size_t *end, struct failure *failure)
{
	struct wisp_socks5_answer answer;
	bool good = false;
	size_t need;
	const enum wisp_socks5_result result = decode(handshake, n, &need, &answer, &good);

	*end = part_of(n, need);
	if (result == WISP_SOCKS5_MORE)
		return PROXY_MORE;
	if (result != WISP_SOCKS5_OK)
		return proxy_is_none(handshake, failure);
	switch ((enum socks5_step)handshake->step) {
	case STEP_METHOD:
		return judge_method(handshake, answer.reply, failure);
	case STEP_PASSWORD:
		return good ? say_request(handshake) : proxy_wants_credentials(handshake, "SOCKS5", failure);
	case STEP_REQUEST:
		break;
	}
	return judge_reply(handshake, answer.reply, failure);
}

const struct proxy_protocol proxy_socks5 = {"SOCKS5", begin_socks5, take_socks5};
