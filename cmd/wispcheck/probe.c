/* The probe's connection, and the handshake over it. */
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "credentials.h"
#include "introduction.h"
#include "probe_private.h"

/* libwebsockets is served so often while it connects. */
#define TICK_MS 20

/* ---- waiting ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* it is enough that the loop turns */
}

void
probe_turn(struct probe *probe, uint64_t deadline_ms)
{
	const uint64_t now_ms = clock_now_ms();
	uint64_t ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	struct timeval tv;

	if (probe->connection.state < CONNECTION_OPEN && ms > TICK_MS)
		ms = TICK_MS;
	if (ms == 0) {
		event_base_loop(probe->checker->base, EVLOOP_NONBLOCK);
		return;
	}
	tv = clock_timeval(ms);
	evtimer_add(&probe->tick_timer, &tv);
	event_base_loop(probe->checker->base, EVLOOP_ONCE);
}

/* ---- the connection ---- */

static void
on_event(void *arg)
{
	(void)arg; /* who waits looks for himself */
}

static bool
on_received(void *arg, uint8_t *p, size_t n)
{
	struct probe *probe = arg;

	/* They stay where they are until the next read, which there is only when all of them have been taken. */
	probe->received = p;
	probe->taken = 0;
	probe->received_size = n;
	return true;
}

static void
on_resolved(enum resolver_result result, const struct addresses *found, void *arg)
{
	struct probe *probe = arg;

	probe->query = NULL;
	if (result != RESOLVER_FOUND) {
		route_cannot_resolve(&probe->route, resolver_text(result), &probe->failure);
		return;
	}
	probe->looks_further = route_set_addresses(&probe->route, found);
}

/* Find the addresses of what is to be looked up next. */
static bool
look_up(struct probe *probe, uint64_t deadline_ms)
{
	const struct addresses *given = route_given_addresses(&probe->route);

	if (given != NULL) {
		probe->looks_further = route_set_addresses(&probe->route, given);
		return true;
	}
	probe->query = resolver_lookup(
		probe->resolver, NULL, route_host(&probe->route), route_port(&probe->route), on_resolved, probe);
	if (probe->query == NULL) {
		failure_set(&probe->failure, FAILURE_PASSING, "out of memory");
		return false;
	}
	while (probe->query != NULL && clock_now_ms() < deadline_ms)
		probe_turn(probe, deadline_ms);
	if (probe->query != NULL) {
		resolver_cancel(probe->query);
		probe->query = NULL;
		failure_set(&probe->failure, FAILURE_PASSING, "no answer from the name servers for %s",
			route_host(&probe->route));
	}
	return probe->failure.kind == FAILURE_NONE;
}

static bool
resolve(struct probe *probe, uint64_t deadline_ms)
{
	probe->looks_further = true;
	while (probe->looks_further)
		if (!look_up(probe, deadline_ms))
			return false;
	return true;
}

/* Try one address. Returns whether it leads on: to an open tunnel, or to a redirect. */
static bool
try_address(struct probe *probe, const struct probe_opening *opening, uint64_t deadline_ms)
{
	const bool own = route_is_own_origin(&probe->route);
	struct connection_request request;

	probe->opened = probe->route.url;
	if (opening->path != NULL && probe->route.redirect_count == 0)
		snprintf(probe->opened.path, sizeof probe->opened.path, "%s", opening->path);
	request = (struct connection_request){
		.url = &probe->opened,
		.proxy = probe->route.proxy,
		.host = own && probe->host_header[0] != '\0' ? probe->host_header : probe->opened.authority,
		.headers = own ? &probe->checker->options->headers : NULL,
		.cookies = &probe->route.cookies,
		.presents = own,
		.address = route_next_address(&probe->route),
		.target = route_target(&probe->route),
		.certified = own && probe->checker->options->sni.host[0] != '\0' ? &probe->checker->options->sni
										 : &probe->opened,
		.congestion = probe->checker->options->congestion,
		.offers_v2 = opening->offers_v2,
		.plain = opening->plain,
	};
	failure_clear(&probe->failure);
	connection_start(&probe->connection, &request);
	while (probe->connection.state < CONNECTION_OPEN && probe->failure.kind == FAILURE_NONE) {
		if (clock_now_ms() >= deadline_ms)
			connection_is_late(&probe->connection);
		else
			probe_turn(probe, deadline_ms);
		if (probe->failure.kind == FAILURE_NONE)
			connection_advance(&probe->connection);
	}
	if (probe->failure.kind != FAILURE_NONE) {
		route_address_failed(&probe->route, &probe->failure, probe->connection.reached);
		connection_close(&probe->connection);
		return false;
	}
	route_remember_address(&probe->route);
	return true;
}

static bool
try_addresses(struct probe *probe, const struct probe_opening *opening, uint64_t deadline_ms)
{
	do {
		if (try_address(probe, opening, deadline_ms))
			return true;
	} while (probe->failure.kind != FAILURE_ANSWERED && route_has_more_addresses(&probe->route) &&
		 clock_now_ms() < deadline_ms);
	return false;
}

static void
begin_messages(struct probe *probe)
{
	wisp_frame_decoder_init(&probe->frames, false);
	probe->taken = probe->received_size = 0;
	probe->message_size = 0;
	probe->over = probe->wrong = false;
	outbox_clear(&probe->out);
	probe->holds = false;
}

bool
probe_open(struct probe *probe, const struct probe_opening *opening)
{
	const uint64_t deadline_ms = clock_now_ms() + probe->checker->timeout_ms;

	probe_close(probe);
	failure_clear(&probe->failure);
	probe->kept_out = false;
	memset(&probe->connection.answer, 0, sizeof probe->connection.answer);
	route_begin(&probe->route, clock_now_ms());
	for (;;) {
		const struct answer *answer = &probe->connection.answer;

		if (!resolve(probe, deadline_ms) || !try_addresses(probe, opening, deadline_ms))
			return false;
		if (probe->connection.state != CONNECTION_REDIRECTED)
			break;
		connection_close(&probe->connection);
		if (opening->plain || !route_redirect(&probe->route, answer->status, answer->location, &probe->failure))
			return false;
	}
	begin_messages(probe);
	probe->wisp = introduction_options(probe->checker->options, probe->checker->credentials, &probe->route);
	probe->wisp.versions = opening->offers_v2 ? WISP_VERSION_AUTO : WISP_VERSION_1;
	wisp_handshake_init_client(&probe->handshake, &probe->wisp);
	return true;
}

void
probe_close(struct probe *probe)
{
	connection_close(&probe->connection);
	probe->over = true;
	probe->over_text = "it was closed";
}

const char *
probe_failure(const struct probe *probe)
{
	return probe->failure.kind != FAILURE_NONE ? probe->failure.reason : "";
}

unsigned
probe_status(const struct probe *probe)
{
	return probe->connection.answer.status;
}

bool
probe_chose_subprotocol(const struct probe *probe)
{
	return probe->connection.answer.chose_protocol;
}

bool
probe_is_open(const struct probe *probe)
{
	return !probe->over && probe->connection.state == CONNECTION_OPEN;
}

/* ---- the handshake ---- */

/* Whether a packet belongs to the handshake; fills it in as wisp_handshake_receive() wants it. */
static bool
as_packet(const struct probe_event *event, struct wisp_packet *packet)
{
	if (event->kind != PROBE_PACKET || event->type == 0)
		return false;
	*packet = (struct wisp_packet){
		.type = (enum wisp_packet_type)event->type,
		.stream_id = event->stream,
		.first = true,
		.last = true,
		.data = event->payload,
		.size = event->size,
		.credit = event->credit,
		.reason = event->reason,
	};
	return true;
}

bool
probe_greet(struct probe *probe)
{
	const uint64_t deadline_ms = clock_now_ms() + probe->checker->timeout_ms;
	struct wisp_handshake *handshake = &probe->handshake;
	uint8_t answer[WISP_HANDSHAKE_PACKET_MAX];

	while (handshake->state != WISP_HANDSHAKE_DONE && handshake->state != WISP_HANDSHAKE_FAILED) {
		struct probe_event event;
		struct wisp_packet packet;

		probe_next(probe, &event);
		if ((event.kind == PROBE_PING || event.kind == PROBE_PONG) && clock_now_ms() < deadline_ms)
			continue;
		if (!as_packet(&event, &packet)) {
			const char *came = probe_describe(&event); /* which may be why the connection failed */

			failure_clear(&probe->failure);
			failure_set(&probe->failure, FAILURE_PASSING, "%s came in the handshake of Wisp", came);
			return false;
		}
		wisp_handshake_receive(handshake, &packet);
		while (wisp_handshake_pending(handshake))
			probe_send_frame(
				probe, WISP_OPCODE_BINARY, true, answer, wisp_handshake_send(handshake, answer));
	}
	if (handshake->state == WISP_HANDSHAKE_DONE)
		return true;
	failure_clear(&probe->failure);
	probe->kept_out =
		introduction_judge_credentials(handshake, probe->checker->options, &probe->route, &probe->failure);
	if (!probe->kept_out)
		failure_set(&probe->failure, FAILURE_ANSWERED, "%s", handshake->error);
	return false;
}

bool
probe_is_kept_out(const struct probe *probe)
{
	return probe->kept_out;
}

const struct wisp_handshake *
probe_handshake(const struct probe *probe)
{
	return &probe->handshake;
}

bool
probe_begin(struct checker *checker, struct verdict *verdict)
{
	const struct probe_opening opening = {.offers_v2 = checker->version == 2};

	if (checker->kept_out != NULL) {
		verdict_skip(verdict, "%s", checker->kept_out);
		return false;
	}
	if (probe_open(checker->probe, &opening) && probe_greet(checker->probe))
		return true;
	verdict_fail(verdict, "no connection: %s", probe_failure(checker->probe));
	return false;
}

/* ---- life ---- */

struct probe *
probe_new(struct checker *checker)
{
	static const struct connection_callbacks callbacks = {.event = on_event, .received = on_received};
	struct probe *probe = calloc(1, sizeof *probe);
	const struct tunnel_options *options = checker->options;
	bool good;

	if (probe == NULL)
		return NULL;
	probe->checker = checker;
	probe->over = true;
	probe->over_text = "there was none";
	evtimer_assign(&probe->tick_timer, checker->base, on_tick, probe);
	route_init(&probe->route, options->servers, 1, 0, &options->proxies, &options->overrides);
	headers_host(&options->headers, probe->host_header);
	probe->resolver = resolver_new(checker->base);
	good = connection_init(&probe->connection, checker->base, &options->tls, &callbacks, probe, &probe->failure);
	if (!good || probe->resolver == NULL) {
		probe_free(probe);
		return NULL;
	}
	return probe;
}

void
probe_aim(struct probe *probe, const struct url *server)
{
	probe_close(probe);
	const struct tunnel_options *options = probe->checker->options;

	route_init(&probe->route, server, 1, 0, &options->proxies, &options->overrides);
}

void
probe_free(struct probe *probe)
{
	if (probe == NULL)
		return;
	evtimer_del(&probe->tick_timer);
	connection_free(&probe->connection);
	resolver_free(probe->resolver);
	outbox_free(&probe->out);
	free(probe->message);
	free(probe);
}
