#include "netwatch.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "log.h"

/* How many addresses are remembered; each message about others counts as a change. */
#define KNOWN_MAX 64
/* In one turn, before others have theirs: a routing daemon may have no end of them. The rest is announced again. */
#define DATAGRAMS_PER_TURN 16
/* Half of the address space: VPNs cover it with two routes, instead of replacing the default one. */
#define HALF_LENGTH 1

struct netwatch {
	int fd;
	struct event *event;
	void (*changed)(void *arg);
	void *arg;
	uint64_t known[KNOWN_MAX]; /* hashes of usable addresses: the kernel tells again when their lifetimes change */
	size_t known_count;
};

/* ---- addresses ---- */

static uint64_t
hash(uint64_t state, const void *p, size_t n)
{
	const uint8_t *bytes = p;

	for (size_t i = 0; i < n; i++)
		state = (state ^ bytes[i]) * 0x100000001b3; /* FNV-1a */
	return state;
}

/* Returns false for an address that is of no use for a connection to a server, or not yet. */
static bool
identify_address(const struct nlmsghdr *header, uint64_t *identity)
{
	const struct ifaddrmsg *message = NLMSG_DATA(header);
	const bool removed = header->nlmsg_type == RTM_DELADDR;
	const struct rtattr *attribute = (const void *)(message + 1);
	size_t left = IFA_PAYLOAD(header);

	if (message->ifa_scope >= RT_SCOPE_LINK || (!removed && (message->ifa_flags & IFA_F_TENTATIVE) != 0))
		return false;
	*identity = hash(0xcbf29ce484222325, &message->ifa_index, sizeof message->ifa_index);
	while (left >= sizeof *attribute && attribute->rta_len >= sizeof *attribute && attribute->rta_len <= left) {
		const size_t size = RTA_ALIGN(attribute->rta_len);

		if (attribute->rta_type == IFA_ADDRESS || attribute->rta_type == IFA_LOCAL)
			*identity = hash(*identity, RTA_DATA(attribute), RTA_PAYLOAD(attribute));
		left -= size < left ? size : left;
		attribute = (const void *)((const char *)attribute + size);
	}
	return true;
}

static uint64_t *
find(struct netwatch *netwatch, uint64_t identity)
{
	for (size_t i = 0; i < netwatch->known_count; i++)
		if (netwatch->known[i] == identity)
			return &netwatch->known[i];
	return NULL;
}

static bool
is_new_address(struct netwatch *netwatch, const struct nlmsghdr *header)
{
	uint64_t identity;

	if (!identify_address(header, &identity) || find(netwatch, identity) != NULL)
		return false;
	if (netwatch->known_count < KNOWN_MAX)
		netwatch->known[netwatch->known_count++] = identity;
	return true;
}

static bool
is_lost_address(struct netwatch *netwatch, const struct nlmsghdr *header)
{
	uint64_t identity, *known;

	if (!identify_address(header, &identity))
		return false;
	known = find(netwatch, identity);
	if (known != NULL)
		*known = netwatch->known[--netwatch->known_count];
	return true;
}

/* ---- messages ---- */

static bool
is_default_route(const struct nlmsghdr *header)
{
	const struct rtmsg *message = NLMSG_DATA(header);

	return message->rtm_dst_len <= HALF_LENGTH && message->rtm_table != RT_TABLE_LOCAL &&
	       (message->rtm_flags & RTM_F_CLONED) == 0;
}

/* Whether a message tells of a change. */
static bool
is_change(struct netwatch *netwatch, const struct nlmsghdr *header)
{
	switch (header->nlmsg_type) {
	case RTM_NEWADDR:
		return header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)) && is_new_address(netwatch, header);
	case RTM_DELADDR:
		return header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)) && is_lost_address(netwatch, header);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)) && is_default_route(header);
	default:
		return false;
	}
}

/* Take what the kernel tells in one datagram. Returns false when there is none. */
static bool
take_datagram(struct netwatch *netwatch, bool *changed)
{
	union {
		struct nlmsghdr header;
		char bytes[8192];
	} buffer;
	struct sockaddr_nl from = {0};
	socklen_t size = sizeof from;
	const ssize_t n = recvfrom(netwatch->fd, &buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
	unsigned left = n > 0 ? (unsigned)n : 0;

	if (n < 0 && errno == ENOBUFS) {
		/* Some got lost: what is known may have gone. */
		netwatch->known_count = 0;
		*changed = true;
		return true;
	}
	if (n < 0)
		return errno == EINTR;
	for (const struct nlmsghdr *header = &buffer.header; from.nl_pid == 0 && NLMSG_OK(header, left);
		header = NLMSG_NEXT(header, left))
		*changed |= is_change(netwatch, header);
	return true;
}

static void
on_netlink(evutil_socket_t fd, short what, void *arg)
{
	struct netwatch *netwatch = arg;
	bool changed = false;
	int taken = 0;

	(void)fd, (void)what;
	while (taken < DATAGRAMS_PER_TURN && take_datagram(netwatch, &changed))
		taken++;
	if (changed)
		netwatch->changed(netwatch->arg);
}

/* ---- life ---- */

static int
open_netlink(void)
{
	const struct sockaddr_nl groups = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&groups, sizeof groups) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct netwatch *
netwatch_new(struct event_base *base, void (*changed)(void *arg), void *arg)
{
	struct netwatch *netwatch = calloc(1, sizeof *netwatch);

	if (netwatch == NULL)
		return NULL;
	netwatch->changed = changed;
	netwatch->arg = arg;
	netwatch->fd = open_netlink();
	if (netwatch->fd >= 0)
		netwatch->event = event_new(base, netwatch->fd, EV_READ | EV_PERSIST, on_netlink, netwatch);
	if (netwatch->event == NULL || event_add(netwatch->event, NULL) != 0) {
		log_debug("cannot watch for changes of the network: %s", strerror(errno));
		netwatch_free(netwatch);
		return NULL;
	}
	return netwatch;
}

void
netwatch_free(struct netwatch *netwatch)
{
	if (netwatch == NULL)
		return;
	if (netwatch->event != NULL)
		event_free(netwatch->event);
	if (netwatch->fd >= 0)
		close(netwatch->fd);
	free(netwatch);
}
