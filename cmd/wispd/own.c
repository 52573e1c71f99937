#include "own.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

/* So many answers to earlier questions are passed over. */
#define STALE_MAX 16

struct question {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[sizeof(struct in6_addr)];
};

union answer {
	struct nlmsghdr header;
	char bytes[4096];
};

int
own_open(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
}

/* Ask for the route to an address of n bytes. */
static void
write_question(struct question *question, uint32_t number, unsigned char family, const void *address, size_t n)
{
	memset(question, 0, sizeof *question);
	memcpy(question->address, address, n);
	question->attribute.rta_type = RTA_DST;
	question->attribute.rta_len = (unsigned short)RTA_LENGTH(n);
	question->route.rtm_family = family;
	question->route.rtm_dst_len = (unsigned char)(8 * n);
	question->header.nlmsg_type = RTM_GETROUTE;
	question->header.nlmsg_flags = NLM_F_REQUEST;
	question->header.nlmsg_seq = number;
	question->header.nlmsg_len = (uint32_t)(offsetof(struct question, address) + n);
}

/* An anycast address is one of this machine's too: that of all routers of a network, to which datagrams may be sent. */
static bool
is_for_us(const struct rtmsg *route)
{
	return route->rtm_type == RTN_LOCAL || route->rtm_type == RTN_ANYCAST;
}

/* The kernel has answered by the time that the question has been sent. */
static bool
leads_here(int fd, const struct question *question)
{
	union answer answer;

	if (send(fd, question, question->header.nlmsg_len, 0) < 0)
		return false;
	for (int i = 0; i < STALE_MAX; i++) {
		if (recv(fd, &answer, sizeof answer, 0) < (ssize_t)sizeof answer.header)
			return false;
		if (answer.header.nlmsg_seq != question->header.nlmsg_seq)
			continue;
		return answer.header.nlmsg_type == RTM_NEWROUTE && is_for_us(NLMSG_DATA(&answer.header));
	}
	return false;
}

bool
own_has(int fd, const struct sockaddr *sa)
{
	static uint32_t number;
	const struct in_addr *in = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	struct question question;

	if (fd < 0)
		return false;
	if (sa->sa_family == AF_INET)
		write_question(&question, ++number, AF_INET, in, sizeof *in);
	else if (IN6_IS_ADDR_V4MAPPED(in6))
		write_question(&question, ++number, AF_INET, in6->s6_addr + 12, sizeof *in);
	else
		write_question(&question, ++number, AF_INET6, in6, sizeof *in6);
	return leads_here(fd, &question);
}
