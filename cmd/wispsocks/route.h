/*
 * The way to the server: through which proxy, where redirects have led, which address is tried, and
 * what may be shown there. It decides what comes next; the tunnel
 * does it.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>

#include "addresses.h"
#include "failure.h"
#include "proxy.h"
#include "url.h"

struct route {
	const struct proxy_settings *proxies;
	const struct url *server;  /* as the user gave it */
	struct url url;            /* where the way leads now */
	const struct proxy *proxy; /* through which; NULL for none */
	unsigned redirect_count;
	struct addresses addresses;
	size_t next_address;
	struct addresses worked; /* the last time, of any host */
	struct failure worst;    /* of the addresses that have been tried */
};

/* Begin at the user's URL. `proxies` has to be set. */
void route_begin(struct route *route, const struct url *server);

/*
 * The server redirects, with this status and Location, "" when there is none. Returns false, with the failure set, when
 * that is not to be followed. The connection must have been closed.
 */
bool route_redirect(struct route *route, unsigned status, const char *location, struct failure *failure);

/* The host to connect to, which is the proxy if there is one, and its port. */
const char *route_host(const struct route *route);
uint16_t route_port(const struct route *route);

/* These are the addresses of that host. */
void route_set_addresses(struct route *route, const struct evutil_addrinfo *found);

/* The next address to try; NULL when there is none left. */
const struct address *route_next_address(struct route *route);

/* Whether there is yet another one behind the one being tried. */
bool route_has_more_addresses(const struct route *route);

/* The address being tried has failed. `worst` of the route is what to tell when there is none left. */
void route_address_failed(struct route *route, const struct failure *failure);

/* The address being tried has worked: it is the first to try the next time. */
void route_remember_address(struct route *route);

/*
 * Whether the way still leads to the origin of the user's URL (scheme, host and port). Only there go what the user gave
 * for the server: headers, the client certificate, credentials.
 */
bool route_is_own_origin(const struct route *route);

#endif
