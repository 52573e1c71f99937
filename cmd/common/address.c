#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"
#define DEFAULT_HOST "127.0.0.1"

static bool
parse_port(const char *text, size_t n, uint16_t *port)
{
	unsigned value = 0;

	if (n < 1 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	*port = (uint16_t)value;
	return value <= UINT16_MAX;
}

bool
address_split(const char *text, size_t n, char *host, size_t host_size, uint16_t *port)
{
	const char *const end = text + n;
	const char *host_end;

	if (n > 0 && text[0] == '[') {
		text++;
		host_end = memchr(text, ']', (size_t)(end - text));
		if (host_end == NULL)
			return false;
		n = (size_t)(host_end++ - text);
	} else {
		host_end = memchr(text, ':', n);
		if (host_end == NULL)
			host_end = end;
		n = (size_t)(host_end - text);
	}
	if (n == 0 || n >= host_size)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (host_end == end)
		return true;
	return *host_end == ':' && parse_port(host_end + 1, (size_t)(end - host_end - 1), port);
}

static const char *
parse_unix(const char *path, struct address *address)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;

	if (path[0] == '\0')
		return "the path of the socket is missing";
	if (strlen(path) >= sizeof un->sun_path)
		return "the path of the socket is too long";
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	address->size = sizeof *un;
	return NULL;
}

static const char *
resolve(const char *host, uint16_t port, struct address *address)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found;
	char service[8];
	int error;

	snprintf(service, sizeof service, "%u", port);
	error = getaddrinfo(host, service, &hints, &found);
	if (error != 0)
		return gai_strerror(error);
	memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
	address->size = found->ai_addrlen;
	freeaddrinfo(found);
	return NULL;
}

const char *
address_parse(const char *text, struct address *address)
{
	const size_t n = strlen(text);
	char host[NI_MAXHOST] = DEFAULT_HOST;
	uint16_t port = 0;

	memset(address, 0, sizeof *address);
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return parse_unix(text + strlen(UNIX_PREFIX), address);
	if (!parse_port(text, n, &port) &&
		(strrchr(text, ':') == NULL || !address_split(text, n, host, sizeof host, &port) || text[n - 1] == ']'))
		return "it must be PORT, HOST:PORT, [IPV6]:PORT or unix:PATH";
	return resolve(host, port, address);
}

void
address_format(const struct sockaddr *sa, char text[ADDRESS_TEXT_SIZE])
{
	const struct sockaddr_un *un = (const void *)sa;
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;
	char host[INET6_ADDRSTRLEN];

	switch (sa->sa_family) {
	case AF_UNIX:
		snprintf(text, ADDRESS_TEXT_SIZE, UNIX_PREFIX "%s", un->sun_path);
		break;
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(in->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%u", host, ntohs(in6->sin6_port));
		break;
	default:
		snprintf(text, ADDRESS_TEXT_SIZE, "address of family %d", sa->sa_family);
		break;
	}
}
