#include "route.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "redact.h"

#define REDIRECTS_MAX 5
/* How much of a Location is repeated in what is wrong with it. */
#define REDIRECT_SHOWN_SIZE 201

static void
aim(struct route *route, const struct url *url)
{
	route->url = *url;
	route->proxy = proxy_for(route->proxies, url);
	route->addresses.count = route->next_address = 0;
	route->targets.count = route->target = 0;
}

static void
begin_server(struct route *route, const struct url *server, uint64_t now_ms)
{
	route->server = server;
	route->redirect_count = 0;
	cookies_clear(&route->cookies);
	if (server == route->servers)
		route->first_tried_ms = now_ms;
	aim(route, server);
}

void
route_init(struct route *route, const struct url *servers, size_t server_count, uint64_t return_ms,
	const struct proxy_settings *proxies, const struct overrides *overrides)
{
	memset(route, 0, sizeof *route);
	route->servers = route->server = servers;
	route->server_count = server_count;
	route->return_ms = return_ms;
	route->proxies = proxies;
	route->overrides = overrides;
}

void
route_begin(struct route *route, uint64_t now_ms)
{
	const bool failed = route->tried_count == route->server_count;
	const bool is_due = route->return_ms != 0 && now_ms >= route->first_tried_ms + route->return_ms;

	route->tried_count = route->lasting_count = 0;
	begin_server(route, failed || is_due ? route->servers : route->server, now_ms);
}

bool
route_next_server(struct route *route, enum failure_kind kind, uint64_t now_ms)
{
	const size_t next = (size_t)(route->server - route->servers + 1) % route->server_count;

	if (kind > FAILURE_PASSING)
		route->lasting_count++;
	if (++route->tried_count == route->server_count)
		return false;
	begin_server(route, &route->servers[next], now_ms);
	return true;
}

bool
route_has_more_servers(const struct route *route)
{
	return route->tried_count + 1 < route->server_count;
}

bool
route_is_hopeless(const struct route *route)
{
	return route->lasting_count == route->server_count;
}

uint64_t
route_return_ms(const struct route *route)
{
	return route->server != route->servers && route->return_ms != 0 ? route->first_tried_ms + route->return_ms : 0;
}

void
route_go_back(struct route *route)
{
	route->server = route->servers;
}

/* A redirect to another host may not come from the server. */
static void
doubt(struct failure *failure)
{
	const size_t n = strlen(failure->reason);

	failure->kind = FAILURE_PASSING;
	snprintf(failure->reason + n, sizeof failure->reason - n, "; behind a login page? Then log in with a browser");
}

void
route_doubt_redirect(const struct route *route, struct failure *failure)
{
	const size_t n = strlen(failure->reason);

	if (failure->kind != FAILURE_ANSWERED || route_is_own_origin(route))
		return;
	snprintf(failure->reason + n, sizeof failure->reason - n, "; a redirect has led to %s", route->url.authority);
	doubt(failure);
}

bool
route_redirect(struct route *route, unsigned status, const char *location, struct failure *failure)
{
	char shown[REDIRECT_SHOWN_SIZE];
	const char *wrong;
	struct url url;

	failure->answered = true; /* whatever is wrong with it, the server has said it */
	if (location[0] == '\0') {
		failure_set(failure, FAILURE_ANSWERED,
			"the server redirects, but does not say where to (HTTP %u); check the URL", status);
		return false;
	}
	wrong = url_resolve(&route->url, location, &url);
	if (wrong != NULL) {
		failure_set(failure, FAILURE_ANSWERED, "the server redirects to '%s' (HTTP %u): %s",
			redact(location, shown, sizeof shown), status, wrong);
		if (!route->url.tls && url_leaves_host(&route->url, location))
			doubt(failure);
		return false;
	}
	if (route->redirect_count == REDIRECTS_MAX) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server redirects more than %d times, at last to '%.200s' (HTTP %u); check the URL",
			REDIRECTS_MAX, url.text, status);
		if (!url_same_origin(route->server, &url))
			doubt(failure);
		return false;
	}
	log_debug("%s redirects to %s (HTTP %u)", route->url.text, url.text, status);
	route->redirect_count++;
	aim(route, &url);
	return true;
}

/* Whether the server itself is to be looked up next. */
static bool
wants_server(const struct route *route)
{
	return route->proxy == NULL || (route->proxy->kind == PROXY_SOCKS5 && route->targets.count == 0);
}

const char *
route_host(const struct route *route)
{
	return wants_server(route) ? route->url.host : route->proxy->host;
}

uint16_t
route_port(const struct route *route)
{
	return wants_server(route) ? route->url.port : route->proxy->port;
}

const struct addresses *
route_given_addresses(const struct route *route)
{
	return overrides_find(route->overrides, route_host(route), route_port(route));
}

void
route_cannot_resolve(const struct route *route, const char *why, struct failure *failure)
{
	failure_set(failure, FAILURE_PASSING, "cannot resolve %s%s: %s", wants_server(route) ? "" : "the proxy ",
		route_host(route), why);
}

bool
route_set_addresses(struct route *route, const struct addresses *found)
{
	const bool for_proxy = route->proxy != NULL && wants_server(route);
	struct addresses *addresses = for_proxy ? &route->targets : &route->addresses;

	*addresses = *found;
	addresses_prefer(addresses, &route->worked);
	failure_clear(&route->worst);
	return for_proxy;
}

bool
route_has_more_addresses(const struct route *route)
{
	return route->next_address < route->addresses.count;
}

const struct address *
route_next_address(struct route *route)
{
	return route_has_more_addresses(route) ? &route->addresses.items[route->next_address++] : NULL;
}

const struct address *
route_target(const struct route *route)
{
	return route->targets.count > 0 ? &route->targets.items[route->target] : NULL;
}

/* Through the proxy it was another address that failed: not the proxy's. */
static void
next_target(struct route *route)
{
	if (route->target + 1 < route->targets.count) {
		route->target++;
		route->next_address--; /* the same proxy again */
	} else {
		route->next_address = route->addresses.count;
	}
}

void
route_address_failed(struct route *route, const struct failure *failure, bool reached)
{
	const bool through = reached && route->targets.count > 0;
	const struct address *address =
		through ? route_target(route) : &route->addresses.items[route->next_address - 1];
	char text[ADDRESS_TEXT_SIZE];

	address_format((const struct sockaddr *)&address->storage, text);
	log_debug("%s at %s: %s", route->url.text, text, failure->reason);
	failure_merge(&route->worst, failure);
	if (through)
		next_target(route);
}

void
route_remember_address(struct route *route)
{
	addresses_remember(&route->worked, &route->addresses.items[route->next_address - 1]);
	if (route->targets.count > 0)
		addresses_remember(&route->worked, route_target(route));
}

bool
route_is_own_origin(const struct route *route)
{
	return url_same_origin(route->server, &route->url);
}
