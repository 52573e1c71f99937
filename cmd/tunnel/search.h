/*
 * Finds the addresses that a route leads to: those of the server, of its proxy, or of both. The tunnel begins one for
 * each URL that it tries.
 */
#ifndef SEARCH_H
#define SEARCH_H

#include <stdbool.h>

#include <event2/event.h>

#include "failure.h"
#include "route.h"
#include "step.h"

struct search_callbacks {
	/* The route has its addresses. May come from within search_begin(). */
	void (*found)(void *arg);
	/* It has none: the failure is set. */
	void (*failed)(void *arg);
};

struct search {
	const struct search_callbacks *callbacks;
	void *arg;
	struct route *route;
	struct failure *failure;
	const struct step_watcher *watcher;
	struct resolver *resolver;
	struct resolver_query *query; /* NULL when nothing is being looked up */
};

/* Returns false without memory; search_free() is to be called all the same. All that is given must outlive it. */
bool search_init(struct search *search, struct event_base *base, struct route *route, struct failure *failure,
	const struct step_watcher *watcher, const struct search_callbacks *callbacks, void *arg);
void search_free(struct search *search);

/* Find the addresses. Returns false, with the failure set and without a callback, when that cannot begin. */
bool search_begin(struct search *search);

/* Stop, without a callback. */
void search_cancel(struct search *search);

#endif
