#include "route.h"

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
	const struct proxy_settings *proxies)
{
	memset(route, 0, sizeof *route);
	route->servers = route->server = servers;
	route->server_count = server_count;
	route->return_ms = return_ms;
	route->proxies = proxies;
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

bool
route_redirect(struct route *route, unsigned status, const char *location, struct failure *failure)
{
	char shown[REDIRECT_SHOWN_SIZE];
	const char *wrong;
	struct url url;

	if (location[0] == '\0') {
		failure_set(failure, FAILURE_ANSWERED,
			"the server redirects, but does not say where to (HTTP %u); check the URL", status);
		return false;
	}
	wrong = url_resolve(&route->url, location, &url);
	if (wrong != NULL) {
		failure_set(failure, FAILURE_ANSWERED, "the server redirects to '%s' (HTTP %u): %s",
			redact(location, shown, sizeof shown), status, wrong);
		return false;
	}
	if (route->redirect_count == REDIRECTS_MAX) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server redirects more than %d times, at last to '%.200s' (HTTP %u); check the URL",
			REDIRECTS_MAX, url.text, status);
		return false;
	}
	log_debug("%s redirects to %s (HTTP %u)", route->url.text, url.text, status);
	route->redirect_count++;
	aim(route, &url);
	return true;
}

const char *
route_host(const struct route *route)
{
	return route->proxy != NULL ? route->proxy->host : route->url.host;
}

uint16_t
route_port(const struct route *route)
{
	return route->proxy != NULL ? route->proxy->port : route->url.port;
}

void
route_set_addresses(struct route *route, const struct addresses *found)
{
	route->addresses = *found;
	addresses_prefer(&route->addresses, &route->worked);
	route->next_address = 0;
	failure_clear(&route->worst);
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

void
route_address_failed(struct route *route, const struct failure *failure)
{
	char text[ADDRESS_TEXT_SIZE];

	address_format((const struct sockaddr *)&route->addresses.items[route->next_address - 1].storage, text);
	log_debug("%s at %s: %s", route->url.text, text, failure->reason);
	failure_merge(&route->worst, failure);
}

void
route_remember_address(struct route *route)
{
	addresses_remember(&route->worked, &route->addresses.items[route->next_address - 1]);
}

bool
route_is_own_origin(const struct route *route)
{
	return url_same_origin(route->server, &route->url);
}
