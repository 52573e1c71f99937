/* Which addresses streams may reach: a server on the internet must not be a way into the network that it stands in. */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/socket.h>

struct policy {
	bool allow_loopback; /* and the unspecified address, which leads to the machine itself too */
	bool allow_private;  /* private, shared and link-local networks, and all IPv6 that is not public */
};

/* The reason to refuse an address with (enum wisp_reason), or 0. To be asked about each address that is connected to.
 */
uint8_t policy_check(const struct policy *policy, const struct sockaddr *sa);

/*
 * The same for a connected socket. When both ends have the same address, it is this machine's own, and so counts as
 * loopback, whatever kind it is.
 */
uint8_t policy_check_connected(const struct policy *policy, int fd);

#endif
