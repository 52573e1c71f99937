#include "policy.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <wisp/packet.h>

enum kind {
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
	{{192, 168}, 16, KIND_PRIVATE},
	{{198, 18}, 15, KIND_PRIVATE},
	{{192, 0, 2}, 24, KIND_NEVER},
	{{198, 51, 100}, 24, KIND_NEVER},
	{{203, 0, 113}, 24, KIND_NEVER},
	{{224}, 3, KIND_NEVER},
};

static const struct network ipv6_networks[] = {
	{{0}, 127, KIND_LOOPBACK}, /* :: and ::1 */
	{{0xfc}, 7, KIND_PRIVATE},
	{{0xfe, 0x80}, 9, KIND_PRIVATE},
	{{0x20, 0x01, 0x0d, 0xb8}, 32, KIND_NEVER},
	{{0x01}, 64, KIND_NEVER},
	{{0xff}, 8, KIND_NEVER},
};

/* Ways to write an IPv4 address as an IPv6 one, and where in it the four bytes are. */
static const struct {
	struct network network;
	size_t at;
} ipv4_in_ipv6[] = {
	{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, KIND_NEVER}, 12}, /* mapped */
	{{{0x00, 0x64, 0xff, 0x9b}, 96, KIND_NEVER}, 12},                   /* NAT64 */
	{{{0x20, 0x02}, 16, KIND_NEVER}, 2},                                /* 6to4 */
	{{{0}, 96, KIND_NEVER}, 12},                                        /* compatible, deprecated */
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
judge_ipv6(const struct policy *policy, const uint8_t *address)
{
	/* :: and ::1 lie in the range of compatible addresses, and are none. */
	if (!matches(&ipv6_networks[0], address))
		for (size_t i = 0; i < sizeof ipv4_in_ipv6 / sizeof *ipv4_in_ipv6; i++)
			if (matches(&ipv4_in_ipv6[i].network, address))
				return judge_ipv4(policy, address + ipv4_in_ipv6[i].at);
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
