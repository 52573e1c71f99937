/* The addresses of a name, in the order in which to try them. */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include <stddef.h>

#include <sys/socket.h>

#include "address.h"

/* More than these are not tried. */
#define ADDRESSES_MAX 16

struct addresses {
	struct address items[ADDRESSES_MAX];
	size_t count;
};

/* Append an address, unless it is there or the list is full. */
void addresses_add(struct addresses *addresses, const struct sockaddr *sa, socklen_t size);

/* Make one list of two: IPv6 and IPv4 in turn (RFC 8305 section 4), as many as there is room for. */
void addresses_merge(struct addresses *addresses, const struct addresses *v6, const struct addresses *v4);

/* Put the address first that worked last, if it is there. */
void addresses_prefer(struct addresses *addresses, const struct addresses *worked);

/* An address has worked: put it first, and forget the last one if there are too many. */
void addresses_remember(struct addresses *worked, const struct address *address);

#endif
