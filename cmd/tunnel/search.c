#include "search.h"

#include "resolver.h"

bool
search_init(struct search *search, struct event_base *base, struct route *route, struct failure *failure,
	const struct step_watcher *watcher, const struct search_callbacks *callbacks, void *arg)
{
	*search = (struct search){
		.callbacks = callbacks,
		.arg = arg,
		.route = route,
		.failure = failure,
		.watcher = watcher,
		.resolver = resolver_new(base),
	};
	return search->resolver != NULL;
}

void
search_free(struct search *search)
{
	search_cancel(search);
	resolver_free(search->resolver);
}

void
search_cancel(struct search *search)
{
	if (search->query != NULL)
		resolver_cancel(search->query);
	search->query = NULL;
}

static void
on_resolved(enum resolver_result result, const struct addresses *found, void *arg)
{
	struct search *search = arg;

	search->query = NULL;
	if (result != RESOLVER_FOUND) {
		route_cannot_resolve(search->route, resolver_text(result), search->failure);
		search->callbacks->failed(search->arg);
		return;
	}
	step_report_name(search->watcher, route_host(search->route), found);
	if (!route_set_addresses(search->route, found))
		search->callbacks->found(search->arg);
	else if (!search_begin(search))
		search->callbacks->failed(search->arg);
}

bool
search_begin(struct search *search)
{
	struct route *route = search->route;
	const struct addresses *given;

	while ((given = route_given_addresses(route)) != NULL) {
		step_report_name(search->watcher, route_host(route), given);
		if (route_set_addresses(route, given))
			continue;
		search->callbacks->found(search->arg);
		return true;
	}
	search->query =
		resolver_lookup(search->resolver, NULL, route_host(route), route_port(route), on_resolved, search);
	if (search->query == NULL)
		failure_set(search->failure, FAILURE_PASSING, "out of memory");
	return search->query != NULL;
}
