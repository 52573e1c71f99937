#include "bridge.h"

#include <string.h>
#include <unistd.h>

#include "accounts.h"
#include "client.h"
#include "clock.h"
#include "listener.h"
#include "log.h"

/* How often, while the budget is spent, to look for a program that takes nothing. */
#define STALL_CHECK_MS 500

static void
on_accepted(evutil_socket_t fd, const struct sockaddr *from, void *arg)
{
	struct bridge *bridge = arg;
	struct source *source;
	struct client *client;

	if (sources_admit(&bridge->sources, bridge->options->max_per_address, from, &source) > 0) {
		sources_leave(&bridge->sources, source);
		close(fd);
		return;
	}
	client = client_new(bridge, fd, from, source);
	if (client == NULL) {
		sources_leave(&bridge->sources, source);
		log_warning("a program is turned away: out of memory");
		return;
	}
	TAILQ_INSERT_TAIL(&bridge->clients, client, entry);
	bridge->client_count++;
	if (bridge->client_count < bridge->options->max_clients)
		return;
	if (!bridge->full)
		log_warning("%zu programs are connected, more have to wait; see --max-clients", bridge->client_count);
	bridge->full = true;
	for (size_t i = 0; i < bridge->listener_count; i++)
		listener_pause(bridge->listeners[i]);
}

void
bridge_forget(struct bridge *bridge, struct client *client)
{
	TAILQ_REMOVE(&bridge->clients, client, entry);
	sources_leave(&bridge->sources, client->source);
	bridge->client_count--;
	if (bridge->client_count < bridge->options->max_clients)
		for (size_t i = 0; i < bridge->listener_count; i++)
			listener_resume(bridge->listeners[i]);
	if (bridge->client_count < bridge->options->max_clients / 2)
		bridge->full = false; /* the next time is worth a line again */
	bridge_check_budget(bridge);
}

void
bridge_check_budget(struct bridge *bridge)
{
	const struct timeval tv = clock_timeval(STALL_CHECK_MS);
	const size_t limit = bridge->options->buffer_limit_bytes;

	if (bridge->tunnel == NULL)
		return;
	if (!bridge->over_budget && bridge->backlog_bytes >= limit) {
		log_debug("%zu bytes wait for programs: the tunnel is not read", bridge->backlog_bytes);
		if (event_add(&bridge->stall_timer, &tv) != 0)
			return; /* without memory to find who holds up the others, nobody is */
		bridge->over_budget = true;
		tunnel_pause(bridge->tunnel);
	} else if (bridge->over_budget && bridge->backlog_bytes < limit - limit / 4) {
		bridge->over_budget = false;
		event_del(&bridge->stall_timer);
		tunnel_resume(bridge->tunnel);
	}
}

/* The tunnel stands still because of programs that take too little: end those that take nothing. */
static void
on_stall_timer(evutil_socket_t fd, short what, void *arg)
{
	struct bridge *bridge = arg;
	struct client *client, *next;

	(void)fd, (void)what;
	for (client = TAILQ_FIRST(&bridge->clients); client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		client_end_if_stalled(client);
	}
}

static void
on_tunnel_up(void *arg)
{
	struct bridge *bridge = arg;
	struct client *client, *next;

	ends_begin(&bridge->ends);
	for (client = TAILQ_FIRST(&bridge->clients); client != NULL; client = next) {
		next = TAILQ_NEXT(client, entry);
		client_on_tunnel_up(client);
	}
}

static void
on_tunnel_hopeless(void *arg)
{
	struct bridge *bridge = arg;

	bridge->hopeless = true;
	event_base_loopbreak(bridge->base);
}

bool
bridge_check(const struct bridge_options *options)
{
	struct accounts *accounts = NULL;
	bool good = tunnel_check(&options->tunnel);

	if (options->auth != NULL) {
		accounts = accounts_read(options->auth_option, options->auth);
		good = good && accounts != NULL;
	}
	accounts_free(accounts);
	return good;
}

bool
bridge_start(struct bridge *bridge, struct event_base *base, const struct bridge_options *options)
{
	memset(bridge, 0, sizeof *bridge);
	bridge->base = base;
	bridge->options = options;
	TAILQ_INIT(&bridge->clients);
	event_assign(&bridge->stall_timer, base, -1, EV_PERSIST, on_stall_timer, bridge);
	bridge->tunnel_callbacks = (struct tunnel_callbacks){
		.up = on_tunnel_up,
		.hopeless = on_tunnel_hopeless,
	};
	if (options->auth != NULL) {
		bridge->accounts = accounts_read(options->auth_option, options->auth);
		if (bridge->accounts == NULL)
			return false;
	}
	bridge->tunnel = tunnel_new(base, &options->tunnel, &bridge->tunnel_callbacks, bridge);
	if (bridge->tunnel == NULL)
		return false;
	for (size_t i = 0; i < options->endpoints.count; i++) {
		bridge->listeners[i] = listener_new(base, &options->endpoints.items[i], on_accepted, bridge);
		if (bridge->listeners[i] == NULL)
			return false;
		bridge->listener_count++;
	}
	return true;
}

/* A file that cannot be used leaves what there is in force. */
void
bridge_reload(struct bridge *bridge)
{
	struct accounts *accounts;

	log_info("reading credentials and certificates again");
	if (bridge->options->auth != NULL) {
		accounts = accounts_read(bridge->options->auth_option, bridge->options->auth);
		if (accounts != NULL) {
			accounts_free(bridge->accounts);
			bridge->accounts = accounts;
		}
	}
	tunnel_reload(bridge->tunnel);
}

void
bridge_report(const struct bridge *bridge)
{
	const struct wisp_session *session = tunnel_session(bridge->tunnel);
	const struct gauges gauges = {
		.open_streams = session != NULL ? wisp_session_stream_count(session) : 0,
		.programs = bridge->client_count,
		.waiting_bytes = bridge->backlog_bytes,
		.connections = tunnel_connections(bridge->tunnel),
		.round_trip_us = tunnel_round_trip_us(bridge->tunnel),
	};

	counters_log(&bridge->counters, &gauges);
}

void
bridge_stop(struct bridge *bridge)
{
	struct tunnel *tunnel = bridge->tunnel;
	struct client *client;

	for (size_t i = 0; i < bridge->listener_count; i++)
		listener_free(bridge->listeners[i]);
	bridge->listener_count = 0;
	bridge->tunnel = NULL; /* nothing is to be paused or resumed any more */
	tunnel_free(tunnel);
	while ((client = TAILQ_FIRST(&bridge->clients)) != NULL)
		client_free(client);
	event_del(&bridge->stall_timer);
	accounts_free(bridge->accounts);
}
