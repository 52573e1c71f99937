/*
 * The way to the server: where redirects have led, and what may be shown there. It decides what comes next; the tunnel
 * does it.
 */
#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>

#include "failure.h"
#include "url.h"

struct route {
	const struct url *server; /* as the user gave it */
	struct url url;           /* where the way leads now */
	unsigned redirect_count;
};

/* Begin at the user's URL. */
void route_begin(struct route *route, const struct url *server);

/*
 * The server redirects, with this status and Location, "" when there is none. Returns false, with the failure set, when
 * that is not to be followed. The connection must have been closed.
 */
bool route_redirect(struct route *route, unsigned status, const char *location, struct failure *failure);

/*
 * Whether the way still leads to the origin of the user's URL (scheme, host and port). Only there go what the user gave
 * for the server: headers, the client certificate, credentials.
 */
bool route_is_own_origin(const struct route *route);

#endif
