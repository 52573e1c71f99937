/*
 * The bridge: listeners, the programs that came through them, and the tunnel. It keeps the bounds that all of them
 * share.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <sys/queue.h>

#include "counters.h"
#include "endpoints.h"
#include "ends.h"
#include "sources.h"
#include "tunnel.h"

struct bridge_options {
	struct tunnel_options tunnel;
	struct endpoints endpoints;
	uint64_t connect_timeout_ms;
	uint64_t idle_timeout_ms; /* 0 for never */
	uint64_t stall_timeout_ms;
	uint64_t udp_timeout_ms; /* of a UDP stream on which nothing moves */
	enum ends_mode ends_mode;
	const char *auth;        /* a file; NULL when programs need not say who they are */
	const char *auth_option; /* the option name that the user gave it by */
	size_t max_clients;
	size_t max_per_address; /* 0 for no limit */
	size_t buffer_limit_bytes;
};

struct client;
TAILQ_HEAD(client_list, client);

struct bridge {
	struct event_base *base;
	const struct bridge_options *options;
	struct tunnel_callbacks tunnel_callbacks;
	struct tunnel *tunnel;
	struct listener *listeners[ENDPOINTS_MAX];
	size_t listener_count;
	struct accounts *accounts; /* of programs; NULL when they need none */
	struct client_list clients;
	size_t client_count;
	struct sources sources; /* where they come from */
	size_t association_count;
	size_t udp_stream_count;
	size_t backlog_bytes; /* received data that programs have not taken yet, all together */
	struct event stall_timer;
	struct counters counters;
	struct ends ends;
	bool full;        /* no more clients are accepted; logged once */
	bool over_budget; /* the tunnel is not read */
	bool hopeless;
};

/*
 * Check the files that the options name, without starting anything. Returns whether they can be used; what is wrong is
 * logged.
 */
bool bridge_check(const struct bridge_options *options);

/* Start everything. Returns false when that cannot be: logged. The caller calls bridge_stop() in either case. */
bool bridge_start(struct bridge *bridge, struct event_base *base, const struct bridge_options *options);
void bridge_stop(struct bridge *bridge);

/* Read the files again: credentials, certificates. */
void bridge_reload(struct bridge *bridge);

/* Log the counters. */
void bridge_report(const struct bridge *bridge);

/* To be called by clients after their backlog has changed. */
void bridge_check_budget(struct bridge *bridge);

/* To be called by a client that is gone. */
void bridge_forget(struct bridge *bridge, struct client *client);

#endif
