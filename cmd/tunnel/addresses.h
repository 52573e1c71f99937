/* The addresses of a name, in the order in which to try them. */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include <stddef.h>

#include <event2/util.h>

#include "address.h"

/* More than these are not tried. */
#define ADDRESSES_MAX 16

struct addresses {
	struct address items[ADDRESSES_MAX];
	size_t count;
};

/*
 * Put the found ones in order: the one that worked last, then IPv6 and IPv4 in turn (RFC 8305 section 4), each in the
 * order in which they were found.
 */
void addresses_order(struct addresses *addresses, const struct evutil_addrinfo *found, const struct addresses *worked);

/* An address has worked: put it first, and forget the last one if there are too many. */
void addresses_remember(struct addresses *worked, const struct address *address);

#endif
