/*
 * Looks names up without blocking, in /etc/hosts and at name servers, by the system's settings. Changed settings are
 * read again. Each share has a queue of its own, so that one does not hold up another.
 */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "addresses.h"

/* The most look-ups under way for one share. Numeric addresses do not count. */
#define RESOLVER_SHARE_MAX 4096

struct resolver;
struct resolver_query;
struct resolver_queue;

/* Whom look-ups are charged to. Their owner has it as a member, all zero at first. */
struct resolver_share {
	struct resolver_queue *queue; /* the resolver's */
};

enum resolver_result {
	RESOLVER_FOUND,
	RESOLVER_NO_NAME,   /* there is no such name, or it has no address */
	RESOLVER_NO_ANSWER, /* name servers could not be asked, did not answer, or failed */
	RESOLVER_NO_MEMORY,
};

/*
 * The answer. With RESOLVER_FOUND, `found` has at least one address: IPv6 and IPv4 in turn, each with the port. It is
 * valid during the call only. The query is freed.
 */
typedef void resolver_callback(enum resolver_result result, const struct addresses *found, void *arg);

/* NULL without memory. */
struct resolver *resolver_new(struct event_base *base);

/* All queries must have ended, and all shares have left. NULL is allowed. */
void resolver_free(struct resolver *resolver);

/* Whether it is an address: nobody is asked, and no file has a say in what it means. */
bool resolver_is_numeric(const char *host);

/*
 * Look up the addresses of a name or a numeric address. The look-up is charged to `share`, which must outlive it; NULL
 * is the program itself. The callback is called later, never from within this call. Returns NULL without memory, and
 * when the share has too many look-ups under way; the callback is not called then.
 */
struct resolver_query *resolver_lookup(struct resolver *resolver, struct resolver_share *share, const char *host,
	uint16_t port, resolver_callback *callback, void *arg);

/* Charge a query to another share from now on, even if that share is at its limit. NULL is as above. */
void resolver_charge(struct resolver_query *query, struct resolver_share *share);

/* Forget a query: its callback will not be called. */
void resolver_cancel(struct resolver_query *query);

/* To be called before the owner of a share is freed. Its queries must have ended. */
void resolver_share_leave(struct resolver_share *share);

/* The result in words, for "cannot resolve HOST: ...". */
const char *resolver_text(enum resolver_result result);

#endif
