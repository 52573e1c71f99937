/*
 * Names to addresses, without blocking, by libevent's evdns. The system's DNS settings are read again when they change,
 * as they do on a laptop.
 */
#ifndef RESOLVER_H
#define RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/util.h>

struct resolver;
struct resolver_query;

/*
 * The answer: `error` is 0 or an EVUTIL_EAI_ code, and `found` a list for the callback to free with
 * evutil_freeaddrinfo(). The query is gone when it is called.
 */
typedef void resolver_callback(int error, struct evutil_addrinfo *found, void *arg);

/* NULL without memory. */
struct resolver *resolver_new(struct event_base *base);

/* All queries must have ended. NULL is allowed. */
void resolver_free(struct resolver *resolver);

/* Whether it is an address: nobody is asked, and no file has a say in what it means. */
bool resolver_is_numeric(const char *host);

/*
 * Look up TCP addresses of a name or a numeric address. The answer comes later, never from within this call. NULL
 * without memory; there is no answer then.
 */
struct resolver_query *resolver_lookup(
	struct resolver *resolver, const char *host, uint16_t port, resolver_callback *callback, void *arg);

/* Forget a query: its callback will not be called. */
void resolver_cancel(struct resolver_query *query);

#endif
