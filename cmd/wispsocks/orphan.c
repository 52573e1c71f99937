#include "orphan.h"

#include <string.h>
#include <unistd.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct query {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

union answer {
	struct nlmsghdr header;
	char bytes[1024];
};

/* Copy an address to where the kernel expects it. Returns false for families other than IPv4 and IPv6. */
static bool
copy_address(const struct sockaddr_storage *storage, __be16 *port, __be32 *address)
{
	const struct sockaddr_in *in = (const void *)storage;
	const struct sockaddr_in6 *in6 = (const void *)storage;

	switch (storage->ss_family) {
	case AF_INET:
		*port = in->sin_port;
		memcpy(address, &in->sin_addr, sizeof in->sin_addr);
		return true;
	case AF_INET6:
		*port = in6->sin6_port;
		memcpy(address, &in6->sin6_addr, sizeof in6->sin6_addr);
		return true;
	default:
		return false;
	}
}

/* Ask for the socket whose peer we are: what is remote to us is local to it. */
static bool
build_query(struct query *query, evutil_socket_t fd)
{
	struct sockaddr_storage ours, theirs;
	socklen_t our_size = sizeof ours, their_size = sizeof theirs;
	struct inet_diag_sockid *id = &query->request.id;

	memset(query, 0, sizeof *query);
	if (getsockname(fd, (struct sockaddr *)&ours, &our_size) != 0 ||
		getpeername(fd, (struct sockaddr *)&theirs, &their_size) != 0)
		return false;
	if (!copy_address(&theirs, &id->idiag_sport, id->idiag_src) ||
		!copy_address(&ours, &id->idiag_dport, id->idiag_dst))
		return false;
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	query->request.sdiag_family = (unsigned char)theirs.ss_family;
	query->request.sdiag_protocol = IPPROTO_TCP;
	query->request.idiag_states = ~0U;
	query->header.nlmsg_len = sizeof *query;
	query->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	query->header.nlmsg_flags = NLM_F_REQUEST;
	return true;
}

bool
peer_is_orphan(evutil_socket_t fd)
{
	const struct inet_diag_msg *found;
	struct query query;
	union answer answer;
	bool orphan = false;
	int netlink;

	if (!build_query(&query, fd))
		return false;
	netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	if (netlink < 0)
		return false;
	if (send(netlink, &query, sizeof query, 0) == (ssize_t)sizeof query &&
		recv(netlink, &answer, sizeof answer, 0) >= (ssize_t)NLMSG_LENGTH(sizeof *found) &&
		answer.header.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
		found = NLMSG_DATA(&answer.header);
		orphan = found->idiag_inode == 0;
	}
	close(netlink);
	return orphan;
}
