#include "address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"
#define MODE_PREFIX ",mode="
#define DEFAULT_MODE 0600
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
	size_t path_size;
	mode_t mode;
	char host[NI_MAXHOST];
	uint16_t port;
};

/* Permissions as chmod(1) takes them, in octal. */
static bool
parse_mode(const char *text, mode_t *mode)
{
	const size_t n = strlen(text);

	if (n < 1 || n > 4 || strspn(text, "01234567") != n)
		return false;
	*mode = (mode_t)strtoul(text, NULL, 8);
	return *mode <= 0777;
}

static const char *
split_unix(const char *text, struct parts *parts)
{
	const char *mode = strstr(text, MODE_PREFIX);

	parts->path = text;
	parts->path_size = mode != NULL ? (size_t)(mode - text) : strlen(text);
	parts->mode = DEFAULT_MODE;
	if (parts->path_size == 0)
		return "the path of the socket is missing";
	if (parts->path_size >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return "the path of the socket is too long";
	if (mode != NULL && !parse_mode(mode + strlen(MODE_PREFIX), &parts->mode))
		return "the mode must be octal, from 0 to 0777";
	return NULL;
}

/* Take an address apart. Returns NULL, or what is wrong with its form. */
static const char *
split(const char *text, struct parts *parts)
{
	const size_t n = strlen(text);

	*parts = (struct parts){.host = DEFAULT_HOST};
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return split_unix(text + strlen(UNIX_PREFIX), parts);
	if (parse_port(text, n, &parts->port))
		return NULL;
	if (strrchr(text, ':') == NULL || text[n - 1] == ']' ||
		!address_split(text, n, parts->host, sizeof parts->host, &parts->port))
		return "it must be PORT, HOST:PORT, [IPV6]:PORT or unix:PATH[,mode=MODE]";
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
	memcpy(un->sun_path, parts.path, parts.path_size);
	address->size = sizeof *un;
	address->mode = parts.mode;
	return NULL;
}

const char *
address_join(const char *host, uint16_t port, char text[ADDRESS_JOINED_SIZE])
{
	const bool brackets = strchr(host, ':') != NULL;

	snprintf(text, ADDRESS_JOINED_SIZE, "%s%s%s:%u", brackets ? "[" : "", host, brackets ? "]" : "", port);
	return text;
}

const char *
address_without_brackets(const char *host, char copy[ADDRESS_V6_SIZE])
{
	const size_t size = strlen(host);
	struct in6_addr address;

	if (size < 2 || size - 2 >= ADDRESS_V6_SIZE || host[0] != '[' || host[size - 1] != ']')
		return host;
	memcpy(copy, host + 1, size - 2);
	copy[size - 2] = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1 ? copy : host;
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
		/* The path may fill its place, without a NUL. */
		if (un->sun_path[0] != '\0')
			snprintf(text, ADDRESS_TEXT_SIZE, UNIX_PREFIX "%.*s", (int)sizeof un->sun_path, un->sun_path);
		else
			snprintf(text, ADDRESS_TEXT_SIZE, UNIX_PREFIX "@%.*s", (int)sizeof un->sun_path - 1,
				un->sun_path + 1);
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

bool
address_is_local(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	switch (sa->sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	default:
		return false;
	}
}
