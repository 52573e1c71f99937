#include "policy.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <wisp/packet.h>

enum kind {
	KIND_PUBLIC,
	KIND_LOOPBACK,
	KIND_PRIVATE,
	KIND_NEVER,
};

struct network {
	uint8_t prefix[16];
	unsigned bits;
	enum kind kind;
};

/* IANA's registries of special-purpose addresses (RFC 6890 and its updates), and multicast. */
static const struct network ipv4_networks[] = {
	{{0}, 8, KIND_LOOPBACK},
	{{127}, 8, KIND_LOOPBACK},
	{{10}, 8, KIND_PRIVATE},
	{{100, 64}, 10, KIND_PRIVATE},
	{{169, 254}, 16, KIND_PRIVATE},
	{{172, 16}, 12, KIND_PRIVATE},
	{{192, 0, 0}, 24, KIND_PRIVATE},
	{{192, 88, 99}, 24, KIND_PRIVATE},
	{{192, 168}, 16, KIND_PRIVATE},
	{{198, 18}, 15, KIND_PRIVATE},
	{{192, 0, 2}, 24, KIND_NEVER},
	{{198, 51, 100}, 24, KIND_NEVER},
	{{203, 0, 113}, 24, KIND_NEVER},
	{{224}, 3, KIND_NEVER},
};

/* The first that matches counts. Public is 2000::/3 alone: IANA has given out nothing else (RFC 4291 section 2.4). */
static const struct network ipv6_networks[] = {
	{{0}, 127, KIND_LOOPBACK},                  /* :: and ::1 */
	{{0x01}, 63, KIND_NEVER},                   /* to be discarded, and a dummy */
	{{0x20, 0x01, 0x0d, 0xb8}, 32, KIND_NEVER}, /* documentation */
	{{0x3f, 0xff}, 20, KIND_NEVER},             /* documentation */
	{{0xff}, 8, KIND_NEVER},                    /* multicast */
	{{0x20, 0x01}, 23, KIND_PRIVATE},           /* IETF's protocols */
	{{0x20}, 3, KIND_PUBLIC},
	{{0}, 0, KIND_PRIVATE}, /* unique local, link-local, NAT64's local prefix (RFC 8215) and so on */
};

/* Ways to write an IPv4 address as an IPv6 one: where in it the four bytes are, and what they are masked with. */
static const struct embedding {
	struct network network;
	size_t at;
	uint8_t mask;
} ipv4_in_ipv6[] = {
	{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, KIND_NEVER}, 12, 0}, /* mapped */
	{{{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, KIND_NEVER}, 12, 0},       /* translated (RFC 2765) */
	{{{0x00, 0x64, 0xff, 0x9b}, 96, KIND_NEVER}, 12, 0},                   /* NAT64 */
	{{{0x20, 0x01, 0x00, 0x00}, 32, KIND_NEVER}, 12, 0xff},                /* Teredo (RFC 4380 section 4) */
	{{{0x20, 0x02}, 16, KIND_NEVER}, 2, 0},                                /* 6to4 */
	{{{0}, 96, KIND_NEVER}, 12, 0},                                        /* compatible, deprecated */
};

static bool
matches(const struct network *network, const uint8_t *address)
{
	const size_t whole = network->bits / 8;
	const unsigned rest = network->bits % 8;
	const uint8_t mask = (uint8_t)(0xff << (8 - rest));

	if (memcmp(network->prefix, address, whole) != 0)
		return false;
	return rest == 0 || ((network->prefix[whole] ^ address[whole]) & mask) == 0;
}

static uint8_t
judge(const struct policy *policy, const struct network *networks, size_t count, const uint8_t *address)
{
	for (size_t i = 0; i < count; i++) {
		if (!matches(&networks[i], address))
			continue;
		switch (networks[i].kind) {
		case KIND_PUBLIC:
			return 0;
		case KIND_LOOPBACK:
			return policy->allow_loopback ? 0 : WISP_REASON_BLOCKED;
		case KIND_PRIVATE:
			return policy->allow_private ? 0 : WISP_REASON_BLOCKED;
		case KIND_NEVER:
			return WISP_REASON_INVALID;
		}
	}
	return 0;
}

static uint8_t
judge_ipv4(const struct policy *policy, const uint8_t *address)
{
	return judge(policy, ipv4_networks, sizeof ipv4_networks / sizeof *ipv4_networks, address);
}

static uint8_t
judge_embedded(const struct policy *policy, const struct embedding *embedding, const uint8_t *address)
{
	uint8_t ipv4[4];

	for (size_t i = 0; i < sizeof ipv4; i++)
		ipv4[i] = address[embedding->at + i] ^ embedding->mask;
	return judge_ipv4(policy, ipv4);
}

static uint8_t
judge_ipv6(const struct policy *policy, const uint8_t *address)
{
	/* :: and ::1 lie in the range of compatible addresses, and are none. */
	if (!matches(&ipv6_networks[0], address))
		for (size_t i = 0; i < sizeof ipv4_in_ipv6 / sizeof *ipv4_in_ipv6; i++)
			if (matches(&ipv4_in_ipv6[i].network, address))
				return judge_embedded(policy, &ipv4_in_ipv6[i], address);
	return judge(policy, ipv6_networks, sizeof ipv6_networks / sizeof *ipv6_networks, address);
}

uint8_t
policy_check(const struct policy *policy, const struct sockaddr *sa)
{
	switch (sa->sa_family) {
	case AF_INET:
		return judge_ipv4(policy, (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr);
	case AF_INET6:
		return judge_ipv6(policy, (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
	default:
		return WISP_REASON_INVALID;
	}
}

/* Whether two addresses are the same, the ports left out. */
static bool
is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *const a4 = (const void *)a, *const b4 = (const void *)b;
	const struct sockaddr_in6 *const a6 = (const void *)a, *const b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

uint8_t
policy_check_connected(const struct policy *policy, int fd)
{
	struct sockaddr_storage ours = {0}, theirs = {0};
	socklen_t our_size = sizeof ours, their_size = sizeof theirs;

	if (policy->allow_loopback)
		return 0;
	if (getsockname(fd, (struct sockaddr *)&ours, &our_size) != 0 ||
		getpeername(fd, (struct sockaddr *)&theirs, &their_size) != 0)
		return WISP_REASON_BLOCKED;
	return is_same_host(&ours, &theirs) ? WISP_REASON_BLOCKED : 0;
}
