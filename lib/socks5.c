#include <wisp/socks5.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "bytes.h"

#define REQUEST_HEADER_SIZE 4
#define PASSWORD_VERSION 1
/* Of a datagram: two bytes that are 0, and the fragment's number. */
#define DATAGRAM_HEADER_SIZE 3
#define PORT_SIZE 2
#define IPV4_SIZE 4
#define IPV6_SIZE 16

enum address_type {
	ADDRESS_IPV4 = 1,
	ADDRESS_NAME = 3,
	ADDRESS_IPV6 = 4,
};

enum wisp_socks5_result
wisp_socks5_greeting_decode(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_greeting *greeting)
{
	*need = 2;
	if (n > 0 && p[0] != WISP_SOCKS5_VERSION)
		return WISP_SOCKS5_INVALID;
	if (n < 2)
		return WISP_SOCKS5_MORE;
	*need += p[1];
	if (n < *need)
		return WISP_SOCKS5_MORE;
	greeting->methods = p + 2;
	greeting->method_count = p[1];
	return WISP_SOCKS5_OK;
}

bool
wisp_socks5_offers(const struct wisp_socks5_greeting *greeting, uint8_t method)
{
	for (size_t i = 0; i < greeting->method_count; i++)
		if (greeting->methods[i] == method)
			return true;
	return false;
}

enum wisp_socks5_result
wisp_socks5_password_decode(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_password *password)
{
	*need = 2;
	if (n > 0 && p[0] != PASSWORD_VERSION)
		return WISP_SOCKS5_INVALID;
	if (n < *need)
		return WISP_SOCKS5_MORE;
	*need += (size_t)p[1] + 1;
	if (n < *need)
		return WISP_SOCKS5_MORE;
	password->user = (const char *)p + 2;
	password->user_size = p[1];
	password->password_size = p[2 + password->user_size];
	password->password = password->user + password->user_size + 1;
	*need += password->password_size;
	return n < *need ? WISP_SOCKS5_MORE : WISP_SOCKS5_OK;
}

static void
format_ipv4(struct wisp_socks5_destination *to, const uint8_t *p)
{
	snprintf(to->host, sizeof to->host, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}

static size_t
append(struct wisp_socks5_destination *to, size_t used, const char *text)
{
	return (size_t)snprintf(to->host + used, sizeof to->host - used, "%s", text);
}

/*
 * RFC 5952: lower case, no leading zeros, and "::" for the first of the longest runs of two or more zero groups. The
 * IPv4 address in an IPv4-mapped one is written as such.
 */
static void
format_ipv6(struct wisp_socks5_destination *to, const uint8_t *p)
{
	static const uint8_t mapped[IPV6_SIZE - IPV4_SIZE] = {[10] = 0xff, [11] = 0xff};
	const int groups = IPV6_SIZE / 2;
	int run_at = -1, run_size = 1;
	size_t used = 0;
	char group[8];

	if (memcmp(p, mapped, sizeof mapped) == 0) {
		p += sizeof mapped;
		snprintf(to->host, sizeof to->host, "::ffff:%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
		return;
	}
	for (int i = 0; i < groups; i++) {
		int size = 0;

		while (i + size < groups && load_be16(p + 2 * (i + size)) == 0)
			size++;
		if (size > run_size) {
			run_at = i;
			run_size = size;
		}
	}
	for (int i = 0; i < groups;) {
		const bool colon = i > 0 && i != run_at + run_size;

		if (i == run_at) {
			used += append(to, used, "::");
			i += run_size;
		} else {
			snprintf(group, sizeof group, "%s%x", colon ? ":" : "", load_be16(p + 2 * i));
			used += append(to, used, group);
			i++;
		}
	}
}

/* Some programs send IPv6 addresses in brackets, as in URLs. A server would take them for names that do not exist. */
static void
remove_brackets(struct wisp_socks5_destination *to)
{
	const size_t n = strlen(to->host);
	uint8_t address[IPV6_SIZE];
	char inside[sizeof to->host];

	if (n < 2 || to->host[0] != '[' || to->host[n - 1] != ']')
		return;
	snprintf(inside, sizeof inside, "%.*s", (int)n - 2, to->host + 1);
	if (inet_pton(AF_INET6, inside, address) == 1)
		memcpy(to->host, inside, n - 1);
}

static enum wisp_socks5_result
copy_name(struct wisp_socks5_destination *to, const uint8_t *p, size_t n)
{
	if (n == 0 || memchr(p, '\0', n) != NULL)
		return WISP_SOCKS5_BAD_NAME;
	memcpy(to->host, p, n);
	to->host[n] = '\0';
	remove_brackets(to);
	return WISP_SOCKS5_OK;
}

static bool
is_address_type(uint8_t type)
{
	return type == ADDRESS_IPV4 || type == ADDRESS_IPV6 || type == ADDRESS_NAME;
}

/* The size of an address with its type and port, of which the type and one more byte are there. */
static size_t
address_size(const uint8_t *p)
{
	switch ((enum address_type)p[0]) {
	case ADDRESS_IPV4:
		return 1 + IPV4_SIZE + PORT_SIZE;
	case ADDRESS_IPV6:
		return 1 + IPV6_SIZE + PORT_SIZE;
	case ADDRESS_NAME:
		break;
	}
	return 1 + 1 + (size_t)p[1] + PORT_SIZE;
}

/* Read an address that is there in whole. */
static enum wisp_socks5_result
read_address(const uint8_t *p, struct wisp_socks5_destination *to)
{
	const size_t size = address_size(p);
	enum wisp_socks5_result result = WISP_SOCKS5_OK;

	memset(to, 0, sizeof *to);
	to->port = load_be16(p + size - PORT_SIZE);
	if (p[0] == ADDRESS_IPV4)
		format_ipv4(to, p + 1);
	else if (p[0] == ADDRESS_IPV6)
		format_ipv6(to, p + 1);
	else
		result = copy_name(to, p + 2, p[1]);
	to->host_size = strlen(to->host);
	return result;
}

enum wisp_socks5_result
wisp_socks5_request_decode(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_request *request)
{
	/* The first byte of the address is there in each valid request, and a name needs it for its size. */
	*need = REQUEST_HEADER_SIZE + 1;
	if (n > 0 && p[0] != WISP_SOCKS5_VERSION)
		return WISP_SOCKS5_INVALID;
	/* Of what type the address is, is told before it: nobody can say how long one of an unknown type is. */
	if (n >= REQUEST_HEADER_SIZE && !is_address_type(p[REQUEST_HEADER_SIZE - 1]))
		return WISP_SOCKS5_BAD_ADDRESS;
	if (n < *need)
		return WISP_SOCKS5_MORE;
	*need = REQUEST_HEADER_SIZE - 1 + address_size(p + REQUEST_HEADER_SIZE - 1);
	if (n < *need)
		return WISP_SOCKS5_MORE;
	request->command = p[1];
	return read_address(p + REQUEST_HEADER_SIZE - 1, &request->destination);
}

size_t
wisp_socks5_method_reply(uint8_t p[WISP_SOCKS5_METHOD_REPLY_SIZE], uint8_t method)
{
	p[0] = WISP_SOCKS5_VERSION;
	p[1] = method;
	return WISP_SOCKS5_METHOD_REPLY_SIZE;
}

size_t
wisp_socks5_password_reply(uint8_t p[WISP_SOCKS5_PASSWORD_REPLY_SIZE], bool good)
{
	p[0] = PASSWORD_VERSION;
	p[1] = good ? 0 : 1;
	return WISP_SOCKS5_PASSWORD_REPLY_SIZE;
}

size_t
wisp_socks5_reply(
	uint8_t p[WISP_SOCKS5_REPLY_MAX], enum wisp_socks5_reply reply, const struct wisp_socks5_address *address)
{
	static const uint8_t any[IPV4_SIZE];
	static const struct wisp_socks5_address none = {any, sizeof any, 0};

	if (address == NULL)
		address = &none;
	p[0] = WISP_SOCKS5_VERSION;
	p[1] = (uint8_t)reply;
	p[2] = 0;
	p[3] = address->size == IPV6_SIZE ? ADDRESS_IPV6 : ADDRESS_IPV4;
	memcpy(p + REQUEST_HEADER_SIZE, address->bytes, address->size);
	store_be16(p + REQUEST_HEADER_SIZE + address->size, address->port);
	return REQUEST_HEADER_SIZE + address->size + PORT_SIZE;
}

bool
wisp_socks5_datagram_decode(const uint8_t *p, size_t n, struct wisp_socks5_datagram *datagram)
{
	const uint8_t *address = p + DATAGRAM_HEADER_SIZE;

	if (n < DATAGRAM_HEADER_SIZE + 2 || !is_address_type(address[0]))
		return false;
	datagram->fragment = p[2];
	datagram->address = address;
	datagram->address_size = address_size(address);
	datagram->header_size = DATAGRAM_HEADER_SIZE + datagram->address_size;
	return n >= datagram->header_size && read_address(address, &datagram->destination) == WISP_SOCKS5_OK;
}

size_t
wisp_socks5_datagram_encode(uint8_t p[WISP_SOCKS5_DATAGRAM_HEADER_MAX], const uint8_t *address, size_t address_size)
{
	memset(p, 0, DATAGRAM_HEADER_SIZE);
	memcpy(p + DATAGRAM_HEADER_SIZE, address, address_size);
	return DATAGRAM_HEADER_SIZE + address_size;
}

/* ---- the client's side ---- */

size_t
wisp_socks5_greeting_encode(uint8_t p[WISP_SOCKS5_GREETING_MAX], bool has_password)
{
	p[0] = WISP_SOCKS5_VERSION;
	p[1] = has_password ? 2 : 1;
	p[2] = WISP_SOCKS5_METHOD_NONE;
	p[3] = WISP_SOCKS5_METHOD_PASSWORD;
	return 2 + (size_t)p[1];
}

size_t
wisp_socks5_password_encode(uint8_t p[WISP_SOCKS5_MESSAGE_MAX], const struct wisp_socks5_password *password)
{
	const size_t user_size = password->user_size, password_size = password->password_size;

	if (user_size > WISP_SOCKS5_TEXT_MAX || password_size > WISP_SOCKS5_TEXT_MAX)
		return 0;
	p[0] = PASSWORD_VERSION;
	p[1] = (uint8_t)user_size;
	memcpy(p + 2, password->user, user_size);
	p[2 + user_size] = (uint8_t)password_size;
	memcpy(p + 3 + user_size, password->password, password_size);
	return 3 + user_size + password_size;
}

/* Write what is before the address. */
static void
begin_request(uint8_t *p, enum wisp_socks5_command command, enum address_type type)
{
	p[0] = WISP_SOCKS5_VERSION;
	p[1] = (uint8_t)command;
	p[2] = 0;
	p[3] = (uint8_t)type;
}

size_t
wisp_socks5_request_encode(
	uint8_t p[WISP_SOCKS5_MESSAGE_MAX], enum wisp_socks5_command command, const struct wisp_socks5_address *address)
{
	begin_request(p, command, address->size == IPV6_SIZE ? ADDRESS_IPV6 : ADDRESS_IPV4);
	memcpy(p + REQUEST_HEADER_SIZE, address->bytes, address->size);
	store_be16(p + REQUEST_HEADER_SIZE + address->size, address->port);
	return REQUEST_HEADER_SIZE + address->size + PORT_SIZE;
}

size_t
wisp_socks5_request_encode_name(
	uint8_t p[WISP_SOCKS5_MESSAGE_MAX], enum wisp_socks5_command command, const char *name, size_t n, uint16_t port)
{
	if (n == 0 || n > WISP_SOCKS5_TEXT_MAX)
		return 0;
	begin_request(p, command, ADDRESS_NAME);
	p[REQUEST_HEADER_SIZE] = (uint8_t)n;
	memcpy(p + REQUEST_HEADER_SIZE + 1, name, n);
	store_be16(p + REQUEST_HEADER_SIZE + 1 + n, port);
	return REQUEST_HEADER_SIZE + 1 + n + PORT_SIZE;
}

/* A version and one more byte. */
static enum wisp_socks5_result
decode_pair(const uint8_t *p, size_t n, size_t *need, uint8_t version)
{
	*need = 2;
	if (n > 0 && p[0] != version)
		return WISP_SOCKS5_INVALID;
	return n < *need ? WISP_SOCKS5_MORE : WISP_SOCKS5_OK;
}

enum wisp_socks5_result
wisp_socks5_method_reply_decode(const uint8_t *p, size_t n, size_t *need, uint8_t *method)
{
	const enum wisp_socks5_result result = decode_pair(p, n, need, WISP_SOCKS5_VERSION);

	if (result == WISP_SOCKS5_OK)
		*method = p[1];
	return result;
}

enum wisp_socks5_result
wisp_socks5_password_reply_decode(const uint8_t *p, size_t n, size_t *need, bool *good)
{
	const enum wisp_socks5_result result = decode_pair(p, n, need, PASSWORD_VERSION);

	if (result == WISP_SOCKS5_OK)
		*good = p[1] == 0;
	return result;
}

enum wisp_socks5_result
wisp_socks5_reply_decode(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_answer *answer)
{
	const enum wisp_socks5_result result = decode_pair(p, n, need, WISP_SOCKS5_VERSION);

	if (result != WISP_SOCKS5_OK)
		return result;
	answer->reply = p[1];
	memset(&answer->bound, 0, sizeof answer->bound);
	if (answer->reply != WISP_SOCKS5_SUCCEEDED)
		return WISP_SOCKS5_OK;
	*need = REQUEST_HEADER_SIZE + 1;
	if (n >= REQUEST_HEADER_SIZE && !is_address_type(p[REQUEST_HEADER_SIZE - 1]))
		return WISP_SOCKS5_INVALID;
	if (n < *need)
		return WISP_SOCKS5_MORE;
	*need = REQUEST_HEADER_SIZE - 1 + address_size(p + REQUEST_HEADER_SIZE - 1);
	if (n < *need)
		return WISP_SOCKS5_MORE;
	if (read_address(p + REQUEST_HEADER_SIZE - 1, &answer->bound) != WISP_SOCKS5_OK)
		memset(&answer->bound, 0, sizeof answer->bound);
	return WISP_SOCKS5_OK;
}
