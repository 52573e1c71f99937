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

/* The parts of an address as text. */
struct parts {
	const char *path; /* of a Unix socket, or NULL */
	char host[NI_MAXHOST];
	uint16_t port;
};

/* Take an address apart. Returns NULL, or what is wrong with its form. */
static const char *
split(const char *text, struct parts *parts)
{
	const size_t n = strlen(text);

	*parts = (struct parts){.host = DEFAULT_HOST};
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
		parts->path = text + strlen(UNIX_PREFIX);
		if (parts->path[0] == '\0')
			return "the path of the socket is missing";
		if (strlen(parts->path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
			return "the path of the socket is too long";
		return NULL;
	}
	if (parse_port(text, n, &parts->port))
		return NULL;
	if (strrchr(text, ':') == NULL || text[n - 1] == ']' ||
		!address_split(text, n, parts->host, sizeof parts->host, &parts->port))
		return "it must be PORT, HOST:PORT, [IPV6]:PORT or unix:PATH";
	return NULL;
}

const char *
address_check(const char *text)
{
	struct parts parts;

	return split(text, &parts);
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
	struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
	struct parts parts;
	const char *wrong = split(text, &parts);

	memset(address, 0, sizeof *address);
	if (wrong != NULL)
		return wrong;
	if (parts.path == NULL)
		return resolve(parts.host, parts.port, address);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, parts.path, strlen(parts.path) + 1);
	address->size = sizeof *un;
	return NULL;
}

const char *
address_join(const char *host, uint16_t port, char text[ADDRESS_JOINED_SIZE])
{
	const bool brackets = strchr(host, ':') != NULL;

	snprintf(text, ADDRESS_JOINED_SIZE, "%s%s%s:%u", brackets ? "[" : "", host, brackets ? "]" : "", port);
	return text;
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
