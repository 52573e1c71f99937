/*
 * The way to a server: which of them, through which proxy, where redirects have led, which address is tried, and what
 * may be shown there. It decides what comes next; the tunnel does it.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addresses.h"
#include "cookies.h"
#include "failure.h"
#include "overrides.h"
#include "proxy.h"
#include "url.h"

struct route {
	const struct url *servers; /* as the user gave them */
	size_t server_count;
	uint64_t return_ms; /* after so long the first is preferred again; 0 for never */
	const struct proxy_settings *proxies;
	const struct overrides *overrides;

	const struct url *server;  /* the one being tried, or in use */
	size_t tried_count;        /* in this round, without success */
	size_t lasting_count;      /* of these, how many can be hoped for no more */
	uint64_t first_tried_ms;   /* the first server */
	struct url url;            /* where the way leads now */
	const struct proxy *proxy; /* through which; NULL for none */
	unsigned redirect_count;
	struct cookies cookies; /* that the redirects have set */
	struct addresses addresses;
	size_t next_address;
	/* The server's addresses, for a proxy that must be given one; otherwise empty. */
	struct addresses targets;
	size_t target;           /* the one being tried */
	struct addresses worked; /* the last time, of any host */
	struct failure worst;    /* of the addresses that have been tried */
};

void route_init(struct route *route, const struct url *servers, size_t server_count, uint64_t return_ms,
	const struct proxy_settings *proxies, const struct overrides *overrides);

/*
 * Begin a new round at a server's URL: the first server's after a round without success, or when it was not tried for a
 * while, and otherwise that of the one that was in use.
 */
void route_begin(struct route *route, uint64_t now_ms);

/* The server has failed. Returns whether there is another one to try in this round; the route then begins at its URL.
 */
bool route_next_server(struct route *route, enum failure_kind kind, uint64_t now_ms);

/* Whether another server will be tried in this round if this one fails. */
bool route_has_more_servers(const struct route *route);

/* Whether all servers have failed in this round in a way that does not get better by waiting. */
bool route_is_hopeless(const struct route *route);

/* When to go back to the first server from the one in use; 0 for never. */
uint64_t route_return_ms(const struct route *route);

/* Let the next round begin with the first server, whatever the clock says: timers may be early by a tick of it. */
void route_go_back(struct route *route);

/*
 * The server redirects, with this status and Location, "" when there is none. Returns false, with the failure set, when
 * that is not to be followed. The connection must have been closed.
 */
bool route_redirect(struct route *route, unsigned status, const char *location, struct failure *failure);

/*
 * The server's answer was not what we want. If a redirect led to another origin, that may be a login page: say so in
 * the failure, and make it a passing one.
 */
void route_doubt_redirect(const struct route *route, struct failure *failure);

/*
 * The host and port to look up next. With a proxy this is the proxy; before it comes the server, if the proxy does not
 * look names up.
 */
const char *route_host(const struct route *route);
uint16_t route_port(const struct route *route);

/* The addresses that the user gave for that host, which is not looked up then; NULL for none. */
const struct addresses *route_given_addresses(const struct route *route);

/* The look-up of that host has failed: set the failure. */
void route_cannot_resolve(const struct route *route, const char *why, struct failure *failure);

/* Take the addresses of that host. Returns whether there is another host to look up. */
bool route_set_addresses(struct route *route, const struct addresses *found);

/* The next address to try; NULL when there is none left. */
const struct address *route_next_address(struct route *route);

/* The server's address to give to the proxy; NULL when the proxy takes the name. */
const struct address *route_target(const struct route *route);

/* Whether there is yet another one behind the one being tried. */
bool route_has_more_addresses(const struct route *route);

/*
 * The address being tried has failed; `reached` says whether TCP connected. When no address is left, the route's
 * `worst` is the failure to report.
 */
void route_address_failed(struct route *route, const struct failure *failure, bool reached);

/* The address being tried has worked: it is the first to try the next time. */
void route_remember_address(struct route *route);

/*
 * Whether the way still leads to the origin of the URL that the user gave (scheme, host and port). Only there go what
 * the user gave for the server: headers, the client certificate, credentials.
 */
bool route_is_own_origin(const struct route *route);

#endif
