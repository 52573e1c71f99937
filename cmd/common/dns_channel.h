/*
 * Questions to one name server, by c-ares on libevent's loop: a channel of c-ares with that server alone, which asks
 * once and knows EDNS and TCP. Whom to ask, and how often, is nameservers' business.
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
	DNS_REFUSED,       /* the server does not serve us, or nothing listens there, or there was no socket */
	DNS_SILENT,
	DNS_ENDED, /* the channel was freed */
};

struct dns_answer {
	enum dns_result result;
	uint32_t ttl_s; /* of DNS_NO_DATA: more than 0 when the server says who told it so */
	size_t count;
	struct in6_addr addresses[ADDRESSES_MAX]; /* of IPv4, in the first four bytes */
};

/* How a server is spoken to. */
struct dns_manner {
	bool edns;
	bool tcp; /* from the start; it is spoken after a truncated answer anyway */
};

struct dns_channel;

typedef void dns_callback(const struct dns_answer *answer, void *arg);

/* NULL without memory. `server` has the port. Nobody answers after `timeout_ms`. */
struct dns_channel *dns_channel_new(
	struct event_base *base, const struct address *server, struct dns_manner manner, unsigned timeout_ms);

/* What is still unanswered is told DNS_ENDED. Not to be called from within a callback. */
void dns_channel_free(struct dns_channel *channel);

/* Ask for an absolute name. The callback is called once, maybe from within the call. */
void dns_channel_ask(
	struct dns_channel *channel, const char *name, enum dns_type type, dns_callback *callback, void *arg);

/* Of the questions so far, all of them and those without an answer yet. */
size_t dns_channel_asked(const struct dns_channel *channel);
size_t dns_channel_waiting(const struct dns_channel *channel);

#endif
