#include <wisp/socks5.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

#define REQUEST_HEADER_SIZE 4
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

static void
format_ipv4(struct wisp_socks5_request *request, const uint8_t *p)
{
	snprintf(request->host, sizeof request->host, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}

static size_t
append(struct wisp_socks5_request *request, size_t used, const char *text)
{
	return (size_t)snprintf(request->host + used, sizeof request->host - used, "%s", text);
}

/*
 * RFC 5952: lower case, no leading zeros, and "::" for the first of the longest runs of two or more zero groups. The
 * IPv4 address in an IPv4-mapped one is written as such.
 */
static void
format_ipv6(struct wisp_socks5_request *request, const uint8_t *p)
{
	static const uint8_t mapped[IPV6_SIZE - IPV4_SIZE] = {[10] = 0xff, [11] = 0xff};
	const int groups = IPV6_SIZE / 2;
	int run_at = -1, run_size = 1;
	size_t used = 0;
	char group[8];

	if (memcmp(p, mapped, sizeof mapped) == 0) {
		p += sizeof mapped;
		snprintf(request->host, sizeof request->host, "::ffff:%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
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
			used += append(request, used, "::");
			i += run_size;
		} else {
			snprintf(group, sizeof group, "%s%x", colon ? ":" : "", load_be16(p + 2 * i));
			used += append(request, used, group);
			i++;
		}
	}
}

static enum wisp_socks5_result
copy_name(struct wisp_socks5_request *request, const uint8_t *p, size_t n)
{
	if (n == 0 || memchr(p, '\0', n) != NULL)
		return WISP_SOCKS5_BAD_NAME;
	memcpy(request->host, p, n);
	request->host[n] = '\0';
	return WISP_SOCKS5_OK;
}

enum wisp_socks5_result
wisp_socks5_request_decode(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_request *request)
{
	enum wisp_socks5_result result = WISP_SOCKS5_OK;
	const uint8_t *address;
	size_t address_size;

	/* The first byte of the address is there in each valid request, and a name needs it for its size. */
	*need = REQUEST_HEADER_SIZE + 1;
	if (n > 0 && p[0] != WISP_SOCKS5_VERSION)
		return WISP_SOCKS5_INVALID;
	/* Of what type the address is, is told before it: nobody can say how long one of an unknown type is. */
	if (n >= REQUEST_HEADER_SIZE && p[3] != ADDRESS_IPV4 && p[3] != ADDRESS_IPV6 && p[3] != ADDRESS_NAME)
		return WISP_SOCKS5_BAD_ADDRESS;
	if (n < *need)
		return WISP_SOCKS5_MORE;
	address = p + REQUEST_HEADER_SIZE;
	if (p[3] == ADDRESS_IPV4)
		address_size = IPV4_SIZE;
	else if (p[3] == ADDRESS_IPV6)
		address_size = IPV6_SIZE;
	else
		address_size = 1 + (size_t)address[0];
	*need = REQUEST_HEADER_SIZE + address_size + PORT_SIZE;
	if (n < *need)
		return WISP_SOCKS5_MORE;

	memset(request, 0, sizeof *request);
	request->command = p[1];
	request->port = load_be16(address + address_size);
	if (p[3] == ADDRESS_IPV4)
		format_ipv4(request, address);
	else if (p[3] == ADDRESS_IPV6)
		format_ipv6(request, address);
	else
		result = copy_name(request, address + 1, address_size - 1);
	request->host_size = strlen(request->host);
	return result;
}

size_t
wisp_socks5_method_reply(uint8_t p[WISP_SOCKS5_METHOD_REPLY_SIZE], uint8_t method)
{
	p[0] = WISP_SOCKS5_VERSION;
	p[1] = method;
	return WISP_SOCKS5_METHOD_REPLY_SIZE;
}

size_t
wisp_socks5_reply(uint8_t p[WISP_SOCKS5_REPLY_MAX], enum wisp_socks5_reply reply)
{
	const size_t n = REQUEST_HEADER_SIZE + IPV4_SIZE + PORT_SIZE;

	memset(p, 0, n);
	p[0] = WISP_SOCKS5_VERSION;
	p[1] = (uint8_t)reply;
	p[3] = ADDRESS_IPV4;
	return n;
}
