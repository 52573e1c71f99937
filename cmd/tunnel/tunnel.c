#include "tunnel.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "backoff.h"
#include "clock.h"
#include "failure.h"
#include "header.h"
#include "identity.h"
#include "introduction.h"
#include "link.h"
#include "log.h"
#include "netwatch.h"
#include "notify.h"
#include "outage.h"
#include "route.h"
#include "search.h"
#include "suspend.h"

/* From the first look-up to the end of Wisp's handshake. */
#define ATTEMPT_MS 10000
/* For TCP to be established with an address, when there are others to try. */
#define ADDRESS_MS 1000
/* The same for the last address of a server when there are other servers to try. */
#define SERVER_MS 3000
/* When it is time to go back to the first server, but there are streams, how often to look whether they are gone. */
#define RETURN_CHECK_MS 1000
/* libwebsockets has timeouts of its own while it connects. */
#define TICK_MS 250

enum tunnel_state {
	TUNNEL_WAITING, /* for the next attempt */
	TUNNEL_RESOLVING,
	TUNNEL_CONNECTING,
	TUNNEL_GREETING, /* the connection is open, Wisp's handshake is not done */
	TUNNEL_UP,
	TUNNEL_STOPPED,
};

struct tunnel {
	const struct tunnel_options *options;
	const struct tunnel_callbacks *callbacks;
	void *arg;
	struct step_watcher watcher;

	enum tunnel_state state;
	struct failure failure;

	struct route route;
	struct search search;
	bool hasty; /* the limit is for TCP alone */
	struct link link;
	char host_header[HEADER_HOST_SIZE]; /* "" for the URL's */
	struct event attempt_timer;         /* WAITING: the next attempt; otherwise: the end of this one */
	struct event tick_timer;
	struct event return_timer; /* to the first server */
	struct backoff backoff;
	struct outage outage;
	struct netwatch *netwatch; /* NULL where the system has no such thing */
	struct suspend *suspend;   /* the same */
	uint64_t up_ms;

	struct identity identity;
	uint64_t connections;
};

static void begin_attempt(struct tunnel *tunnel);
static void go(struct tunnel *tunnel);
static void try_address(struct tunnel *tunnel);
static void follow_redirect(struct tunnel *tunnel);

/* ---- failures ---- */

/* Let go of everything that belongs to one connection. Not to be called from within libwebsockets. */
static void
disconnect(struct tunnel *tunnel)
{
	evtimer_del(&tunnel->attempt_timer);
	evtimer_del(&tunnel->tick_timer);
	evtimer_del(&tunnel->return_timer);
	search_cancel(&tunnel->search);
	link_close(&tunnel->link);
}

static void
wait_for_next_attempt(struct tunnel *tunnel, bool was_up)
{
	const uint64_t delay_ms = backoff_next_ms(&tunnel->backoff, clock_now_ms());
	const struct timeval tv = clock_timeval(delay_ms);

	(was_up ? outage_lost : outage_failed)(&tunnel->outage, tunnel->route.server, tunnel->failure.reason, delay_ms);
	tunnel->state = TUNNEL_WAITING;
	evtimer_add(&tunnel->attempt_timer, &tv);
}

/* Whether the failure of all servers is fatal: permanent failures are, until the first successful connection. */
static bool
is_final(const struct tunnel *tunnel)
{
	const struct tunnel_options *options = tunnel->options;

	return tunnel->connections == 0 &&
	       (options->once || (!options->retry_always && route_is_hopeless(&tunnel->route)));
}

/* Report the step that failed, if somebody watches. */
static void
report_failure(const struct tunnel *tunnel)
{
	const struct connection *connection = &tunnel->link.connection;
	enum step step = STEP_WISP;

	if (tunnel->state == TUNNEL_RESOLVING)
		step = STEP_NAME;
	else if (tunnel->state == TUNNEL_CONNECTING)
		step = step_of(connection->state, tunnel->route.url.tls);
	step_report_failure(&tunnel->watcher, step, connection, tunnel->failure.reason);
}

/* The connection, or the attempt, has failed: decide what comes next. */
static void
on_failure(struct tunnel *tunnel)
{
	const bool was_up = tunnel->state == TUNNEL_UP;
	const bool connecting = tunnel->state == TUNNEL_CONNECTING;
	const struct url *server = tunnel->route.server;

	if (connecting)
		route_doubt_redirect(&tunnel->route, &tunnel->failure);
	report_failure(tunnel);
	tunnel->state = TUNNEL_WAITING;
	disconnect(tunnel);
	if (was_up)
		backoff_stood(&tunnel->backoff, clock_now_ms() - tunnel->up_ms);
	if (connecting) {
		route_address_failed(&tunnel->route, &tunnel->failure, tunnel->link.connection.reached);
		if (tunnel->failure.kind != FAILURE_ANSWERED && route_has_more_addresses(&tunnel->route)) {
			try_address(tunnel);
			return;
		}
		tunnel->failure = tunnel->route.worst;
	}
	if (!was_up && route_next_server(&tunnel->route, tunnel->failure.kind, clock_now_ms())) {
		outage_failed(&tunnel->outage, server, tunnel->failure.reason, 0);
		go(tunnel);
		return;
	}
	if (!was_up && is_final(tunnel)) {
		tunnel->state = TUNNEL_STOPPED;
		outage_end(&tunnel->outage);
		log_error("%s: %s", server->text, tunnel->failure.reason);
		tunnel->callbacks->hopeless(tunnel->arg);
		return;
	}
	wait_for_next_attempt(tunnel, was_up);
}

/* ---- work ---- */

static void
set_limit(struct tunnel *tunnel, uint64_t limit_ms)
{
	const struct timeval tv = clock_timeval(limit_ms);

	evtimer_add(&tunnel->attempt_timer, &tv);
}

/* The server has agreed to the upgrade. */
static void
start_session(struct tunnel *tunnel)
{
	const struct wisp_client_options options =
		introduction_options(tunnel->options, &tunnel->identity.credentials, &tunnel->route);

	tunnel->state = TUNNEL_GREETING;
	link_open(&tunnel->link, &options);
}

/* Go on with the attempt. */
static void
advance(struct tunnel *tunnel)
{
	connection_advance(&tunnel->link.connection);
	if (tunnel->hasty && tunnel->link.connection.state > CONNECTION_TCP) {
		tunnel->hasty = false;
		set_limit(tunnel, ATTEMPT_MS);
	}
	if (tunnel->failure.kind != FAILURE_NONE)
		return;
	if (tunnel->link.connection.state == CONNECTION_OPEN || tunnel->link.connection.state == CONNECTION_REDIRECTED)
		route_remember_address(&tunnel->route);
	if (tunnel->link.connection.state == CONNECTION_OPEN)
		start_session(tunnel);
	else if (tunnel->link.connection.state == CONNECTION_REDIRECTED)
		follow_redirect(tunnel);
}

/* Everything that can be done now. All events end here. */
static void
run(void *arg)
{
	struct tunnel *tunnel = arg;

	if (tunnel->state == TUNNEL_CONNECTING && tunnel->failure.kind == FAILURE_NONE)
		advance(tunnel);
	link_work(&tunnel->link);
	if (tunnel->failure.kind != FAILURE_NONE)
		on_failure(tunnel);
}

/* ---- timers ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;
	const struct timeval tv = clock_timeval(TICK_MS);

	(void)fd, (void)what;
	evtimer_add(&tunnel->tick_timer, &tv);
	run(tunnel);
}

static void
on_attempt_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;

	(void)fd, (void)what;
	switch (tunnel->state) {
	case TUNNEL_WAITING:
		begin_attempt(tunnel);
		return;
	case TUNNEL_RESOLVING:
		failure_set(&tunnel->failure, FAILURE_PASSING,
			"no answer from the name servers for %s; check the network", route_host(&tunnel->route));
		break;
	case TUNNEL_CONNECTING:
		connection_is_late(&tunnel->link.connection);
		break;
	case TUNNEL_GREETING:
		failure_set(&tunnel->failure, FAILURE_PASSING,
			"the server does not begin to speak Wisp; check that the URL is a Wisp server's");
		break;
	case TUNNEL_UP:
	case TUNNEL_STOPPED:
		return;
	}
	on_failure(tunnel);
}

/* Look whether to go back to the first server: when it is time, but not before `delay_ms` from now. */
static void
set_return_timer(struct tunnel *tunnel, uint64_t delay_ms)
{
	const uint64_t return_ms = route_return_ms(&tunnel->route);
	const uint64_t now_ms = clock_now_ms();
	struct timeval tv;

	if (return_ms == 0)
		return;
	if (return_ms > now_ms + delay_ms)
		delay_ms = return_ms - now_ms;
	tv = clock_timeval(delay_ms);
	evtimer_add(&tunnel->return_timer, &tv);
}

/* Streams are not cut for it. */
static void
on_return_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tunnel *tunnel = arg;

	(void)fd, (void)what;
	if (wisp_session_stream_count(tunnel->link.session) > 0) {
		set_return_timer(tunnel, RETURN_CHECK_MS);
		return;
	}
	failure_set(&tunnel->failure, FAILURE_PASSING, "going back to the first server");
	outage_lost(&tunnel->outage, tunnel->route.server, tunnel->failure.reason, 0);
	link_leave(&tunnel->link);
	disconnect(tunnel);
	backoff_stood(&tunnel->backoff, clock_now_ms() - tunnel->up_ms);
	route_go_back(&tunnel->route);
	begin_attempt(tunnel);
}

/* ---- the session ---- */

static void
on_ready(void *arg)
{
	struct tunnel *tunnel = arg;

	tunnel->state = TUNNEL_UP;
	tunnel->connections++;
	tunnel->up_ms = clock_now_ms();
	evtimer_del(&tunnel->attempt_timer);
	evtimer_del(&tunnel->tick_timer);
	outage_end(&tunnel->outage);
	log_info("connected to %s (wisp v%u, %s%s%s%s%s)", tunnel->route.server->text,
		wisp_session_version(tunnel->link.session), connection_tls_version(&tunnel->link.connection),
		tunnel->route.proxy != NULL ? ", through " : "",
		tunnel->route.proxy != NULL ? tunnel->route.proxy->name : "",
		tunnel->route.redirect_count > 0 ? ", redirected to " : "",
		tunnel->route.redirect_count > 0 ? tunnel->route.url.text : "");
	notify_status("connected to %s", tunnel->route.server->authority);
	introduction_warn(tunnel->link.session, &tunnel->route);
	set_return_timer(tunnel, 0);
	step_report_wisp(&tunnel->watcher, tunnel->link.session);
	tunnel->callbacks->up(tunnel->arg);
}

static void
on_refused(void *arg)
{
	struct tunnel *tunnel = arg;

	if (introduction_judge(tunnel->link.session, tunnel->options, &tunnel->route, &tunnel->failure))
		backoff_refuse(&tunnel->backoff);
}

/* ---- attempts ---- */

static void
try_address(struct tunnel *tunnel)
{
	const struct timeval tick = clock_timeval(TICK_MS);
	const struct url *url = &tunnel->route.url;
	const bool own = route_is_own_origin(&tunnel->route);
	const struct connection_request request = {
		.url = url,
		.proxy = tunnel->route.proxy,
		.host = own && tunnel->host_header[0] != '\0' ? tunnel->host_header : url->authority,
		.headers = own ? &tunnel->options->headers : NULL,
		.cookies = &tunnel->route.cookies,
		.presents = own,
		.address = route_next_address(&tunnel->route),
		.target = route_target(&tunnel->route),
		.certified = own && tunnel->options->sni.host[0] != '\0' ? &tunnel->options->sni : url,
		.congestion = tunnel->options->congestion,
		.offers_v2 = tunnel->options->versions != WISP_VERSION_1,
	};
	const bool more_addresses = route_has_more_addresses(&tunnel->route);

	tunnel->hasty = more_addresses || route_has_more_servers(&tunnel->route);
	tunnel->state = TUNNEL_CONNECTING;
	failure_clear(&tunnel->failure);
	set_limit(tunnel, more_addresses ? ADDRESS_MS : tunnel->hasty ? SERVER_MS : ATTEMPT_MS);
	evtimer_add(&tunnel->tick_timer, &tick);
	connection_start(&tunnel->link.connection, &request);
	/* The rest happens outside of the caller, which may be on its way out of a failure. */
	link_wake(&tunnel->link);
}

static void
on_advanced(void *arg, enum connection_state from)
{
	const struct tunnel *tunnel = arg;

	step_report_connection(&tunnel->watcher, &tunnel->link.connection, from);
}

static void
on_addresses_found(void *arg)
{
	try_address(arg);
}

static void
on_search_failed(void *arg)
{
	on_failure(arg);
}

/* Go where the route leads now. */
static void
go(struct tunnel *tunnel)
{
	tunnel->state = TUNNEL_RESOLVING;
	outage_try(&tunnel->outage, tunnel->route.server);
	failure_clear(&tunnel->failure);
	set_limit(tunnel, ATTEMPT_MS);
	if (!search_begin(&tunnel->search))
		link_wake(&tunnel->link);
}

static void
begin_attempt(struct tunnel *tunnel)
{
	const uint64_t now_ms = clock_now_ms();

	backoff_begin(&tunnel->backoff, now_ms);
	route_begin(&tunnel->route, now_ms);
	go(tunnel);
}

static void
follow_redirect(struct tunnel *tunnel)
{
	const struct answer *answer = &tunnel->link.connection.answer;

	disconnect(tunnel);
	if (route_redirect(&tunnel->route, answer->status, answer->location, &tunnel->failure))
		go(tunnel);
}

/* A server that was in reach may be out of it now, and the reverse. */
static void
look_around(struct tunnel *tunnel, const char *event)
{
	uint64_t delay_ms;

	log_debug("%s", event);
	if (tunnel->state == TUNNEL_UP)
		liveness_doubt(&tunnel->link.liveness, event);
	else if (backoff_renew(&tunnel->backoff, clock_now_ms(), &delay_ms))
		set_limit(tunnel, delay_ms);
}

static void
on_network_changed(void *arg)
{
	look_around(arg, "the network changed");
}

static void
on_woken(void *arg)
{
	look_around(arg, "this machine woke up");
}

void
tunnel_hurry(struct tunnel *tunnel, uint64_t patience_ms)
{
	uint64_t delay_ms;

	if (backoff_hurry(&tunnel->backoff, clock_now_ms(), patience_ms, &delay_ms))
		set_limit(tunnel, delay_ms);
}

void
tunnel_pause(struct tunnel *tunnel)
{
	link_pause(&tunnel->link);
}

void
tunnel_resume(struct tunnel *tunnel)
{
	link_resume(&tunnel->link);
}

struct wisp_session *
tunnel_session(struct tunnel *tunnel)
{
	return tunnel->state == TUNNEL_UP && tunnel->failure.kind == FAILURE_NONE ? tunnel->link.session : NULL;
}

bool
tunnel_is_blocked(const struct tunnel *tunnel)
{
	return tunnel->link.blocked;
}

uint64_t
tunnel_connections(const struct tunnel *tunnel)
{
	return tunnel->connections;
}

uint64_t
tunnel_round_trip_us(const struct tunnel *tunnel)
{
	return tunnel->link.liveness.round_trip_us;
}

/* ---- files ---- */

/* Connect again, with this identity. */
static void
start_over(struct tunnel *tunnel, const struct identity *identity)
{
	if (tunnel->state == TUNNEL_UP)
		outage_lost(&tunnel->outage, tunnel->route.server, "credentials or certificates have changed", 0);
	tunnel->state = TUNNEL_WAITING;
	disconnect(tunnel);
	identity_free(&tunnel->identity);
	tunnel->identity = *identity;
	backoff_reset(&tunnel->backoff);
	begin_attempt(tunnel);
}

void
tunnel_reload(struct tunnel *tunnel)
{
	struct identity identity;

	/* Also when nothing has changed: that a file cannot be used any more is to be said. */
	if (!identity_read(&identity, &tunnel->options->credentials, &tunnel->options->tls))
		return;
	if (connection_reload(&tunnel->link.connection) && !identity_equals(&identity, &tunnel->identity))
		start_over(tunnel, &identity);
	else
		identity_free(&identity);
}

/* ---- life ---- */

static const struct link_callbacks link_callbacks = {
	.event = run,
	.advanced = on_advanced,
	.ready = on_ready,
	.refused = on_refused,
};

static const struct search_callbacks search_callbacks = {
	.found = on_addresses_found,
	.failed = on_search_failed,
};

struct tunnel *
tunnel_new(struct event_base *base, const struct tunnel_options *options, const struct tunnel_callbacks *callbacks,
	void *arg)
{
	struct tunnel *tunnel = calloc(1, sizeof *tunnel);
	bool memory, good;

	if (tunnel == NULL) {
		log_error("out of memory");
		return NULL;
	}
	tunnel->options = options;
	tunnel->callbacks = callbacks;
	tunnel->arg = arg;
	tunnel->watcher = (struct step_watcher){callbacks->step, arg};
	backoff_reset(&tunnel->backoff);
	outage_init(&tunnel->outage, base);
	evtimer_assign(&tunnel->attempt_timer, base, on_attempt_timer, tunnel);
	evtimer_assign(&tunnel->tick_timer, base, on_tick, tunnel);
	evtimer_assign(&tunnel->return_timer, base, on_return_timer, tunnel);
	route_init(&tunnel->route, options->servers, options->server_count, options->return_ms, &options->proxies,
		&options->overrides);
	headers_host(&options->headers, tunnel->host_header);
	tunnel->netwatch = netwatch_new(base, on_network_changed, tunnel);
	tunnel->suspend = suspend_new(base, on_woken, tunnel);
	memory = search_init(
		&tunnel->search, base, &tunnel->route, &tunnel->failure, &tunnel->watcher, &search_callbacks, tunnel);
	good = identity_read(&tunnel->identity, &options->credentials, &options->tls);
	good = link_init(&tunnel->link, base, &options->tls, options->ping_interval_ms, &link_callbacks, tunnel,
		       &tunnel->failure) &&
	       good;
	if (good && !memory)
		log_error("out of memory");
	if (!good || !memory) {
		tunnel_free(tunnel);
		return NULL;
	}
	begin_attempt(tunnel);
	return tunnel;
}

bool
tunnel_check(const struct tunnel_options *options)
{
	struct credentials credentials;
	struct tls tls;
	bool good = tls_init(&tls, &options->tls);

	tls_free(&tls);
	if (!credentials_load(&credentials, &options->credentials))
		return false;
	credentials_free(&credentials);
	return good;
}

void
tunnel_free(struct tunnel *tunnel)
{
	if (tunnel == NULL)
		return;
	if (tunnel_session(tunnel) != NULL)
		link_leave(&tunnel->link);
	tunnel->state = TUNNEL_STOPPED;
	disconnect(tunnel);
	outage_end(&tunnel->outage);
	link_free(&tunnel->link);
	identity_free(&tunnel->identity);
	netwatch_free(tunnel->netwatch);
	suspend_free(tunnel->suspend);
	search_free(&tunnel->search);
	free(tunnel);
}
