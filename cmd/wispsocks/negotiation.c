#include "negotiation.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <sys/socket.h>

#include "accounts.h"
#include "address.h"
#include "client.h"
#include "log.h"
#include "misdirected.h"

static const char not_rfc1929[] = "a program's user name and password are not as RFC 1929 has them (version 0x%02x)";

void
negotiation_free(struct negotiation *negotiation)
{
	if (negotiation != NULL)
		OPENSSL_cleanse(negotiation, sizeof *negotiation);
	free(negotiation);
}

struct negotiation *
negotiation_new(const struct sockaddr *from)
{
	struct negotiation *negotiation = malloc(sizeof *negotiation);

	if (negotiation == NULL)
		return NULL;
	negotiation->size = 0;
	negotiation->from.sa.sa_family = from->sa_family;
	if (from->sa_family == AF_INET)
		memcpy(&negotiation->from, from, sizeof negotiation->from.in);
	else if (from->sa_family == AF_INET6)
		memcpy(&negotiation->from, from, sizeof negotiation->from.in6);
	return negotiation;
}

/* Log that a program is not let in, as wispd logs its clients: the manual names the line. */
static void
log_login_failure(const struct client *client, const char *why)
{
	const struct sockaddr *from = &client->negotiation->from.sa;
	char text[ADDRESS_TEXT_SIZE] = "a program on this machine";

	if (from->sa_family != AF_UNIX)
		address_format(from, text);
	log_info("%s: login failed: %s; see --%s", text, why, client->bridge->options->auth_option);
}

/* Send a message of the handshake. Returns false when that was the end of the client. */
static bool
reply(struct client *client, const uint8_t *p, size_t n)
{
	if (relay_write(client->relay, p, n))
		return true;
	client_lose(client);
	return false;
}

/* The method that the program offers and we accept, or UNACCEPTABLE. */
static uint8_t
choose_method(const struct client *client, const struct wisp_socks5_greeting *greeting)
{
	const bool known = client->bridge->accounts != NULL;
	const uint8_t method = known ? WISP_SOCKS5_METHOD_PASSWORD : WISP_SOCKS5_METHOD_NONE;

	return wisp_socks5_offers(greeting, method) ? method : WISP_SOCKS5_METHOD_UNACCEPTABLE;
}

/* Answer the greeting. Returns false when that was the end of the client. */
static bool
answer_greeting(struct client *client, const struct wisp_socks5_greeting *greeting)
{
	const uint8_t method = choose_method(client, greeting);
	uint8_t p[WISP_SOCKS5_METHOD_REPLY_SIZE];

	if (method == WISP_SOCKS5_METHOD_UNACCEPTABLE && client->bridge->accounts != NULL)
		log_login_failure(client, "it offers no user name and password; set both in the program");
	else if (method == WISP_SOCKS5_METHOD_UNACCEPTABLE)
		log_info("a program requires authentication, which is not set up; see --auth");
	if (!reply(client, p, wisp_socks5_method_reply(p, method)))
		return false;
	if (method == WISP_SOCKS5_METHOD_UNACCEPTABLE) {
		client_leave(client);
		return false;
	}
	client->state = method == WISP_SOCKS5_METHOD_PASSWORD ? CLIENT_PASSWORD : CLIENT_REQUEST;
	return true;
}

/* Answer the password. Returns false when that was the end of the client. */
static bool
answer_password(struct client *client, const struct wisp_socks5_password *password)
{
	const enum wisp_password verdict = accounts_check(client->bridge->accounts, password->user, password->user_size,
		password->password, password->password_size);
	const bool good = verdict == WISP_PASSWORD_RIGHT;
	uint8_t p[WISP_SOCKS5_PASSWORD_REPLY_SIZE];

	/* Before the answer, which may find the program gone: it is to be counted all the same. */
	if (verdict == WISP_PASSWORD_WRONG)
		log_login_failure(client, "wrong user name or password");
	if (verdict == WISP_PASSWORD_UNKNOWN)
		log_warning("a program is turned away: its password cannot be checked: out of memory");
	if (!reply(client, p, wisp_socks5_password_reply(p, good)))
		return false;
	if (!good) {
		client_leave(client); /* as RFC 1929 section 2 wants it */
		return false;
	}
	client->state = CLIENT_REQUEST;
	return true;
}

union message {
	struct wisp_socks5_greeting greeting;
	struct wisp_socks5_password password;
};

static enum wisp_socks5_result
decode(struct client *client, size_t *need, union message *message)
{
	struct negotiation *negotiation = client->negotiation;
	const uint8_t *p = negotiation->message;
	const size_t n = negotiation->size;

	if (client->state == CLIENT_GREETING)
		return wisp_socks5_greeting_decode(p, n, need, &message->greeting);
	if (client->state == CLIENT_PASSWORD)
		return wisp_socks5_password_decode(p, n, need, &message->password);
	return wisp_socks5_request_decode(p, n, need, &negotiation->request);
}

/* Answer a message that has been read. Returns whether there is another one to come. */
static bool
answer(struct client *client, const union message *message)
{
	bool more;

	if (client->state == CLIENT_REQUEST) {
		client_request(client);
		return false;
	}
	more = client->state == CLIENT_GREETING ? answer_greeting(client, &message->greeting)
						: answer_password(client, &message->password);
	if (more)
		client->negotiation->size = 0;
	return more;
}

/* Read some more of a message that takes `need` bytes. Returns false when there is nothing more for now. */
static bool
read_more(struct client *client, size_t need)
{
	struct negotiation *negotiation = client->negotiation;
	const size_t n = relay_read(client->relay, negotiation->message + negotiation->size, need - negotiation->size);

	negotiation->size += n;
	if (n == 0 && relay_state(client->relay) != RELAY_OPEN)
		client_free(client);
	return n > 0;
}

/* Where the program has connected to. */
static void
find_local_address(const struct client *client, char text[ADDRESS_TEXT_SIZE])
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof address;

	(void)getsockname(relay_socket(client->relay), (struct sockaddr *)&address, &size);
	address_format((const struct sockaddr *)&address, text);
}

/* The message is none of SOCKS5. Whoever understands another answer gets one. */
static void
refuse_message(struct client *client)
{
	const uint8_t first = client->negotiation->message[0];
	char address[ADDRESS_TEXT_SIZE], answer[MISDIRECTED_ANSWER_SIZE];
	size_t n = 0;

	if (client->state == CLIENT_GREETING) {
		find_local_address(client, address);
		misdirected_log(first, address);
		n = misdirected_answer(first, address, answer);
	} else {
		log_info(not_rfc1929, first);
	}
	if (n == 0)
		client_free(client);
	else if (reply(client, (const uint8_t *)answer, n))
		client_leave(client);
}

/*
 * Each message is read up to its end and not a byte further: what follows the last one stays in the socket, from where
 * the tunnel pulls it.
 */
void
negotiation_advance(struct client *client)
{
	union message message = {.password = {0}};
	bool more = true;

	while (more) {
		size_t need;

		switch (decode(client, &need, &message)) {
		case WISP_SOCKS5_MORE:
			more = read_more(client, need);
			break;
		case WISP_SOCKS5_OK:
			more = answer(client, &message);
			break;
		case WISP_SOCKS5_INVALID:
			refuse_message(client);
			return;
		case WISP_SOCKS5_BAD_ADDRESS:
			client_refuse(client, WISP_SOCKS5_ADDRESS_UNSUPPORTED);
			return;
		case WISP_SOCKS5_BAD_NAME:
			client_refuse(client, WISP_SOCKS5_FAILURE);
			return;
		}
	}
}
