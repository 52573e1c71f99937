/* The addresses of a name, in the order in which to try them. */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include <stddef.h>

#include <sys/socket.h>

#include "address.h"

/* At most this many addresses of a name are tried. */
#define ADDRESSES_MAX 16

struct addresses {
	struct address items[ADDRESSES_MAX];
	size_t count;
};

/* Append an address, unless the list already has it or is full. */
void addresses_add(struct addresses *addresses, const struct sockaddr *sa, socklen_t size);

/* Make one list of two: IPv6 and IPv4 in turn (RFC 8305 section 4), as many as there is room for. */
void addresses_merge(struct addresses *addresses, const struct addresses *v6, const struct addresses *v4);

/* Move the address that worked most recently to the front, if the list has it. */
void addresses_prefer(struct addresses *addresses, const struct addresses *worked);

/* Put an address that has worked first. A full list drops its last one. */
void addresses_remember(struct addresses *worked, const struct address *address);

#endif
