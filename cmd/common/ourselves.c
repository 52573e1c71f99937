#include "ourselves.h"

#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>

#include "endpoints.h"

/* An IP address, IPv4 in its IPv4-mapped form. Returns false for another kind. */
static bool
to_ipv6(const struct sockaddr *sa, struct in6_addr *ip)
{
	const struct sockaddr_in *in = (const void *)sa;

	if (sa->sa_family == AF_INET6) {
		*ip = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
		return true;
	}
	if (sa->sa_family != AF_INET)
		return false;
	memset(ip, 0, sizeof *ip);
	ip->s6_addr[10] = ip->s6_addr[11] = 0xff;
	memcpy(ip->s6_addr + 12, &in->sin_addr, 4);
	return true;
}

static bool
is_any(const struct in6_addr *ip)
{
	static const struct in6_addr mapped_any = {{{[10] = 0xff, 0xff}}};

	return IN6_IS_ADDR_UNSPECIFIED(ip) || memcmp(ip, &mapped_any, sizeof *ip) == 0;
}

static bool
is_own_address(const struct in6_addr *ip)
{
	struct ifaddrs *all = NULL;
	struct in6_addr own;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return false;
	for (const struct ifaddrs *one = all; one != NULL && !found; one = one->ifa_next)
		found = one->ifa_addr != NULL && to_ipv6(one->ifa_addr, &own) && memcmp(&own, ip, sizeof own) == 0;
	freeifaddrs(all);
	return found;
}

static bool
is_loopback(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_LOOPBACK(ip) || (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == IN_LOOPBACKNET);
}

/* Whether a connection to `ip` reaches a listener at `listener`. In both places, 0.0.0.0 and [::] mean any address. */
static bool
leads_to(const struct in6_addr *ip, const struct in6_addr *listener)
{
	if (is_any(ip))
		return is_any(listener) || is_loopback(listener);
	if (is_any(listener))
		return (IN6_IS_ADDR_UNSPECIFIED(listener) || IN6_IS_ADDR_V4MAPPED(ip)) &&
		       (is_loopback(ip) || is_own_address(ip));
	return memcmp(ip, listener, sizeof *ip) == 0;
}

/* Whether a name is one for this machine. */
static bool
names_loopback(const char *name)
{
	static const char below[] = ".localhost";
	const size_t n = strlen(name);

	return strcasecmp(name, "localhost") == 0 || strcasecmp(name, "ip6-localhost") == 0 ||
	       (n > strlen(below) && strcasecmp(name + n - strlen(below), below) == 0);
}

static bool
names_this_machine(const char *name)
{
	char own[HOST_NAME_MAX + 1] = "";

	return gethostname(own, sizeof own - 1) == 0 && own[0] != '\0' && strcasecmp(name, own) == 0;
}

static bool
is_at(const struct endpoint *endpoint, const char *name, const struct in6_addr *ip, uint16_t port)
{
	const struct sockaddr *sa = (const struct sockaddr *)&endpoint->address.storage;
	struct in6_addr listener;

	/* The port stands at the same place in both families. */
	if (!to_ipv6(sa, &listener) || ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port) != port)
		return false;
	if (ip != NULL)
		return leads_to(ip, &listener);
	return (names_loopback(name) && (is_loopback(&listener) || is_any(&listener))) || names_this_machine(name);
}

bool
ourselves_are_at(const struct endpoints *endpoints, const char *host, uint16_t port)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char name[NI_MAXHOST];
	struct in6_addr ip;
	size_t n = strlen(host);
	bool numeric, here = false;

	if (n == 0 || n >= sizeof name)
		return false;
	numeric = getaddrinfo(host, NULL, &hints, &found) == 0 && to_ipv6(found->ai_addr, &ip);
	if (found != NULL)
		freeaddrinfo(found);
	memcpy(name, host, n + 1);
	if (n > 1 && name[n - 1] == '.')
		name[n - 1] = '\0';
	for (size_t i = 0; i < endpoints->count && !here; i++)
		here = is_at(&endpoints->items[i], name, numeric ? &ip : NULL, port);
	return here;
}
