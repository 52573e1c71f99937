#include "no_proxy.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#define SEPARATORS ", \t\r\n"
/* A longer item is not on any list that makes sense. */
#define ITEM_SIZE 256

struct numeric {
	int family;
	uint8_t bytes[sizeof(struct in6_addr)];
	unsigned bits;
};

static bool
parse_numeric(const char *text, struct numeric *numeric)
{
	if (inet_pton(AF_INET, text, numeric->bytes) == 1) {
		numeric->family = AF_INET;
		numeric->bits = 32;
		return true;
	}
	if (inet_pton(AF_INET6, text, numeric->bytes) == 1) {
		numeric->family = AF_INET6;
		numeric->bits = 128;
		return true;
	}
	return false;
}

/* Read ADDRESS, ADDRESS/BITS or [ADDRESS]. The item is changed. */
static bool
parse_network(char *item, struct numeric *network)
{
	char *slash = strchr(item, '/');
	char *end;
	unsigned long bits = 0;
	size_t n;

	if (slash != NULL) {
		if (slash[1] < '0' || slash[1] > '9')
			return false;
		bits = strtoul(slash + 1, &end, 10);
		if (*end != '\0')
			return false;
		*slash = '\0';
	}
	n = strlen(item);
	if (n > 2 && item[0] == '[' && item[n - 1] == ']') {
		item[n - 1] = '\0';
		item++;
	}
	if (!parse_numeric(item, network) || bits > network->bits)
		return false;
	if (slash != NULL)
		network->bits = (unsigned)bits;
	return true;
}

static bool
network_has(const struct numeric *network, const struct numeric *address)
{
	const size_t bytes = network->bits / 8;
	const uint8_t mask = (uint8_t)(0xff00U >> network->bits % 8);

	return network->family == address->family && memcmp(network->bytes, address->bytes, bytes) == 0 &&
	       (mask == 0 || ((network->bytes[bytes] ^ address->bytes[bytes]) & mask) == 0);
}

/* The size of a name without the dot of the root. */
static size_t
name_size(const char *name)
{
	const size_t n = strlen(name);

	return n > 1 && name[n - 1] == '.' ? n - 1 : n;
}

/* Whether the host is the domain, or below it. */
static bool
domain_has(const char *domain, const char *host)
{
	const size_t host_size = name_size(host);
	size_t domain_size;

	if (domain[0] == '.')
		domain++;
	domain_size = name_size(domain);
	if (domain_size == 0 || domain_size > host_size ||
		strncasecmp(host + host_size - domain_size, domain, domain_size) != 0)
		return false;
	return domain_size == host_size || host[host_size - domain_size - 1] == '.';
}

bool
no_proxy_has(const char *list, const char *host)
{
	struct numeric address;
	const bool is_numeric = parse_numeric(host, &address);

	for (;;) {
		char item[ITEM_SIZE];
		struct numeric network;
		size_t n;

		list += strspn(list, SEPARATORS);
		n = strcspn(list, SEPARATORS);
		if (n == 0)
			return false;
		snprintf(item, sizeof item, "%.*s", n < sizeof item ? (int)n : 0, list);
		list += n;
		if (strcmp(item, "*") == 0)
			return true;
		if (is_numeric ? parse_network(item, &network) && network_has(&network, &address)
			       : domain_has(item, host))
			return true;
	}
}
