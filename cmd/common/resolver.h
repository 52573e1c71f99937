/*
 * Names to addresses, without blocking: from /etc/hosts and name servers, as the system's settings say, which are read
 * again when they change. Names wait in a queue for each of those who ask, so that one does not keep others waiting.
 */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "addresses.h"

/* So many names at once may wait for an answer for one share. Addresses do not count. */
#define RESOLVER_SHARE_MAX 4096

struct resolver;
struct resolver_query;
struct resolver_queue;

/* Who look-ups are charged to: a member of its owner, which is zero to begin with. */
struct resolver_share {
	struct resolver_queue *queue; /* the resolver's */
};

enum resolver_result {
	RESOLVER_FOUND,
	RESOLVER_NO_NAME,   /* there is no such name, or it has no address */
	RESOLVER_NO_ANSWER, /* name servers could not be asked, did not answer, or had failures of their own */
	RESOLVER_NO_MEMORY,
};

/*
 * The answer. `found` has at least one address when the result is RESOLVER_FOUND, IPv6 and IPv4 in turn, each with the
 * port, and is gone after the call. So is the query.
 */
typedef void resolver_callback(enum resolver_result result, const struct addresses *found, void *arg);

/* NULL without memory. */
struct resolver *resolver_new(struct event_base *base);

/* All queries must have ended, and all shares have left. NULL is allowed. */
void resolver_free(struct resolver *resolver);

/* Whether it is an address: nobody is asked, and no file has a say in what it means. */
bool resolver_is_numeric(const char *host);

/*
 * Look up the addresses of a name or a numeric address. It is charged to `share`, which outlives it; NULL is for those
 * of the program itself. The answer comes later, never from within this call. NULL without memory, and when the share
 * has too many look-ups under way; there is no answer then.
 */
struct resolver_query *resolver_lookup(struct resolver *resolver, struct resolver_share *share, const char *host,
	uint16_t port, resolver_callback *callback, void *arg);

/* Charge a query to another share from now on, which may have one too many by that. NULL is as above. */
void resolver_charge(struct resolver_query *query, struct resolver_share *share);

/* Forget a query: its callback will not be called. */
void resolver_cancel(struct resolver_query *query);

/* The owner of a share goes. Its queries must have ended. */
void resolver_share_leave(struct resolver_share *share);

/* The result in words, for "cannot resolve HOST: ...". */
const char *resolver_text(enum resolver_result result);

#endif
