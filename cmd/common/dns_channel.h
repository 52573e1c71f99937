/*
 * Queries to one name server, with c-ares on libevent's loop. A channel has one server and sends each query once; it
 * supports EDNS and TCP. nameservers decides which server to ask, and how often.
 */
#ifndef DNS_CHANNEL_H
#define DNS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <netinet/in.h>

#include "addresses.h"

enum dns_type {
	DNS_A = 1,
	DNS_AAAA = 28,
};

enum dns_result {
	DNS_FOUND,
	DNS_NO_DATA, /* the name has no such address */
	DNS_NO_NAME,
	DNS_SERVER_FAILED, /* SERVFAIL */
	DNS_BAD_FORM,      /* FORMERR: EDNS may be unknown there */
	DNS_REFUSED,       /* the server refuses us, nothing listens there, or no socket could be opened */
	DNS_SILENT,
	DNS_ENDED, /* the channel was freed */
};

struct dns_answer {
	enum dns_result result;
	uint32_t ttl_s; /* of DNS_NO_DATA: more than 0 when the answer has an authority section */
	size_t count;
	struct in6_addr addresses[ADDRESSES_MAX]; /* IPv4: in the first four bytes */
};

/* How to query a server. */
struct dns_manner {
	bool edns;
	bool tcp; /* from the start; a truncated answer is asked for again over TCP in any case */
};

struct dns_channel;

typedef void dns_callback(const struct dns_answer *answer, void *arg);

/* NULL without memory. `server` includes the port. A query without an answer ends after `timeout_ms` as DNS_SILENT. */
struct dns_channel *dns_channel_new(
	struct event_base *base, const struct address *server, struct dns_manner manner, unsigned timeout_ms);

/* Queries without an answer end with DNS_ENDED. Must not be called from within a callback. */
void dns_channel_free(struct dns_channel *channel);

/* Query an absolute name. The callback is called once, possibly before this returns. */
void dns_channel_ask(
	struct dns_channel *channel, const char *name, enum dns_type type, dns_callback *callback, void *arg);

/* The number of queries so far: all of them, and those without an answer yet. */
size_t dns_channel_asked(const struct dns_channel *channel);
size_t dns_channel_waiting(const struct dns_channel *channel);

#endif
