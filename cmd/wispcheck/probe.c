#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include <openssl/rand.h>

#include "bytes.h"
#include "clock.h"
#include "connection.h"
#include "credentials.h"
#include "header.h"
#include "introduction.h"
#include "log.h"
#include "outbox.h"
#include "resolver.h"
#include "route.h"
#include "wire.h"

/* libwebsockets is served so often while it connects. */
#define TICK_MS 20
/* What is written in one go. */
#define WRITE_SIZE ((size_t)WIRE_BUFFER_SIZE)
#define DESCRIPTION_SIZE 200
/* How many buffers full are read, at the most, before it is seen whether time is up. */
#define READS_PER_LOOK 64

struct probe {
	struct checker *checker;
	struct resolver *resolver;
	struct resolver_query *query;
	struct route route;
	struct connection connection;
	struct failure failure;
	char host_header[HEADER_HOST_SIZE]; /* "" for the URL's */
	struct url opened;                  /* the route's, with the path of the opening */

	struct event tick_timer;
	struct outbox out;
	bool holds; /* nothing is written for the time being */
	struct wisp_client_options wisp;
	struct wisp_handshake handshake;

	uint8_t *received; /* the connection's bytes; from `taken` to `received_size` they are not decoded yet */
	size_t taken;
	size_t received_size;
	struct wisp_frame_decoder frames;
	uint8_t *message; /* the one under way, or that was handed out last: gathered here unless it came whole */
	size_t message_size;
	size_t message_room;
	bool unread; /* there is more to read than one look takes */
	bool over;   /* nothing more will come */
	const char *over_text;
	bool wrong; /* the server broke the rules */
};

/* ---- waiting ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* it is enough that the loop turns */
}

/* Let the loop turn once, up to a time of the clock. */
static void
turn(struct probe *probe, uint64_t deadline_ms)
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
on_resolved(int error, struct evutil_addrinfo *found, void *arg)
{
	struct probe *probe = arg;

	probe->query = NULL;
	if (error != 0) {
		failure_set(&probe->failure, FAILURE_PASSING, "cannot resolve %s: %s", route_host(&probe->route),
			evutil_gai_strerror(error));
		return;
	}
	route_set_addresses(&probe->route, found);
	evutil_freeaddrinfo(found);
}

static bool
resolve(struct probe *probe, uint64_t deadline_ms)
{
	probe->query = resolver_lookup(
		probe->resolver, route_host(&probe->route), route_port(&probe->route), on_resolved, probe);
	if (probe->query == NULL) {
		failure_set(&probe->failure, FAILURE_PASSING, "out of memory");
		return false;
	}
	while (probe->query != NULL && clock_now_ms() < deadline_ms)
		turn(probe, deadline_ms);
	if (probe->query != NULL) {
		resolver_cancel(probe->query);
		probe->query = NULL;
		failure_set(&probe->failure, FAILURE_PASSING, "no answer from the name servers for %s",
			route_host(&probe->route));
	}
	return probe->failure.kind == FAILURE_NONE;
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
		.presents = own,
		.address = route_next_address(&probe->route),
		.offers_v2 = opening->offers_v2,
	};
	failure_clear(&probe->failure);
	connection_start(&probe->connection, &request);
	while (probe->connection.state < CONNECTION_OPEN && probe->failure.kind == FAILURE_NONE) {
		if (clock_now_ms() >= deadline_ms)
			connection_is_late(&probe->connection);
		else
			turn(probe, deadline_ms);
		if (probe->failure.kind == FAILURE_NONE)
			connection_advance(&probe->connection);
	}
	if (probe->failure.kind != FAILURE_NONE) {
		route_address_failed(&probe->route, &probe->failure);
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
	memset(&probe->connection.answer, 0, sizeof probe->connection.answer);
	route_begin(&probe->route, clock_now_ms());
	for (;;) {
		const struct answer *answer = &probe->connection.answer;

		if (!resolve(probe, deadline_ms) || !try_addresses(probe, opening, deadline_ms))
			return false;
		if (probe->connection.state != CONNECTION_REDIRECTED)
			break;
		connection_close(&probe->connection);
		if (!route_redirect(&probe->route, answer->status, answer->location, &probe->failure))
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
	return !probe->over && probe->connection.wsi != NULL;
}

/* ---- sending ---- */

/* Write what the connection takes. */
static void
flush(struct probe *probe)
{
	struct outbox *out = &probe->out;

	if (probe->holds)
		return;
	connection_flush(&probe->connection);
	while (probe_is_open(probe) && outbox_size(out) > 0) {
		const size_t n = outbox_size(out) < WRITE_SIZE ? outbox_size(out) : WRITE_SIZE;
		struct lws *wsi = probe->connection.wsi;

		if (lws_partial_buffered(wsi) || lws_send_pipe_choked(wsi))
			return;
		if (lws_write(wsi, outbox_first(out), n, LWS_WRITE_HTTP) < (int)n)
			failure_set(&probe->failure, FAILURE_PASSING, "the connection broke");
		outbox_taken(out, n);
	}
}

static uint8_t *
reserve(struct probe *probe, size_t n)
{
	uint8_t *p = probe_is_open(probe) ? outbox_reserve(&probe->out, n, PROBE_SEND_MAX) : NULL;

	if (p == NULL && probe_is_open(probe))
		log_warning("more is to be sent than can wait: %zu bytes are left out", n);
	return p;
}

void
probe_send_bytes(struct probe *probe, const void *p, size_t n)
{
	uint8_t *out = reserve(probe, n);

	if (out == NULL)
		return;
	if (n > 0)
		memcpy(out, p, n);
	outbox_added(&probe->out, n);
	flush(probe);
}

/* Append a frame whose payload is made of two parts. */
static void
send_frame(struct probe *probe, enum wisp_opcode opcode, bool fin, const void *head, size_t head_size, const void *p,
	size_t n)
{
	const size_t header_size = wisp_frame_header_size(head_size + n, true);
	uint8_t key[WISP_MASK_SIZE] = {0};
	uint8_t *frame = reserve(probe, header_size + head_size + n);

	if (frame == NULL)
		return;
	RAND_bytes(key, sizeof key);
	if (head_size > 0)
		memcpy(frame + header_size, head, head_size);
	if (n > 0)
		memcpy(frame + header_size + head_size, p, n);
	wisp_frame_encode(frame + header_size, head_size + n, opcode, key);
	if (!fin)
		frame[0] &= 0x7f;
	outbox_added(&probe->out, header_size + head_size + n);
	flush(probe);
}

void
probe_send_frame(struct probe *probe, enum wisp_opcode opcode, bool fin, const void *p, size_t n)
{
	send_frame(probe, opcode, fin, NULL, 0, p, n);
}

void
probe_send_packet(struct probe *probe, uint8_t type, uint32_t stream, const void *p, size_t n)
{
	uint8_t head[WISP_PACKET_HEADER_SIZE];

	wisp_packet_header(head, (enum wisp_packet_type)type, stream);
	send_frame(probe, WISP_OPCODE_BINARY, true, head, sizeof head, p, n);
}

void
probe_send_connect(struct probe *probe, uint32_t stream, enum wisp_stream_type type, const char *host, uint16_t port)
{
	uint8_t packet[WISP_PACKET_HEADER_SIZE + WISP_CONNECT_HEADER_SIZE + WISP_HOST_MAX];
	const struct wisp_destination destination = {type, port, host, strnlen(host, WISP_HOST_MAX)};

	send_frame(probe, WISP_OPCODE_BINARY, true, packet, wisp_packet_connect(packet, stream, &destination), NULL, 0);
}

void
probe_send_close(struct probe *probe, uint32_t stream, uint8_t reason)
{
	probe_send_packet(probe, WISP_CLOSE, stream, &reason, 1);
}

void
probe_hold(struct probe *probe)
{
	probe->holds = true;
}

void
probe_release(struct probe *probe)
{
	probe->holds = false;
	flush(probe);
}

bool
probe_is_flushed(const struct probe *probe)
{
	return outbox_size(&probe->out) == 0 &&
	       (probe->connection.wsi == NULL || !lws_partial_buffered(probe->connection.wsi));
}

/* ---- receiving ---- */

static void
end(struct probe *probe, bool wrong, const char *text)
{
	connection_close(&probe->connection);
	probe->over = true;
	probe->wrong = wrong;
	probe->over_text = text;
}

/* Gather a piece of a message. Returns false when it is too long. */
static bool
gather(struct probe *probe, const struct wisp_frame_piece *piece)
{
	if (piece->first)
		probe->message_size = 0;
	if (piece->size > PROBE_MESSAGE_MAX - probe->message_size)
		return false;
	if (probe->message_size + piece->size > probe->message_room) {
		size_t room = probe->message_room * 2;
		uint8_t *message;

		if (room < probe->message_size + piece->size)
			room = probe->message_size + piece->size;
		message = realloc(probe->message, room);
		if (message == NULL)
			return false;
		probe->message = message;
		probe->message_room = room;
	}
	if (piece->size > 0)
		memcpy(probe->message + probe->message_size, piece->data, piece->size);
	probe->message_size += piece->size;
	return true;
}

/* A whole binary message. */
static void
read_packet(uint8_t *p, size_t n, struct probe_event *event)
{
	event->kind = PROBE_PACKET;
	event->size = n;
	event->payload = p;
	if (n < WISP_PACKET_HEADER_SIZE)
		return;
	event->type = p[0];
	event->stream = load_le32(p + 1);
	event->payload = p + WISP_PACKET_HEADER_SIZE;
	event->size = n - WISP_PACKET_HEADER_SIZE;
	if (event->type == WISP_CONTINUE && event->size >= 4)
		event->credit = load_le32(event->payload);
	if (event->type == WISP_CLOSE && event->size >= 1)
		event->reason = event->payload[0];
}

/* A message, or a piece of one. Returns whether it is complete. */
static bool
take_message(struct probe *probe, const struct wisp_frame_piece *piece, struct probe_event *event)
{
	const bool whole = piece->first && piece->last;
	uint8_t *p = piece->data;
	size_t n = piece->size;

	if (!whole) {
		if (!gather(probe, piece)) {
			end(probe, true, "a message is longer than 4 MiB");
			return false;
		}
		p = probe->message;
		n = probe->message_size;
	}
	if (!piece->last)
		return false;
	if (piece->opcode == WISP_OPCODE_BINARY) {
		read_packet(p, n, event);
		return true;
	}
	event->kind = PROBE_TEXT;
	event->payload = p;
	event->size = n;
	return true;
}

/* A frame, or a piece of one. Returns whether it makes an event. */
static bool
take_piece(struct probe *probe, const struct wisp_frame_piece *piece, struct probe_event *event)
{
	switch (piece->kind) {
	case WISP_FRAME_MESSAGE:
		return take_message(probe, piece, event);
	case WISP_FRAME_PING:
		send_frame(probe, WISP_OPCODE_PONG, true, piece->data, piece->size, NULL, 0);
		event->kind = PROBE_PING;
		return true;
	case WISP_FRAME_PONG:
		event->kind = PROBE_PONG;
		event->payload = piece->data;
		event->size = piece->size;
		return true;
	case WISP_FRAME_CLOSE:
		event->kind = PROBE_CLOSE;
		event->status = piece->size >= 2 ? load_be16(piece->data) : WISP_WS_NO_STATUS;
		return true;
	case WISP_FRAME_ERROR:
		end(probe, true, probe->frames.error);
		return false;
	case WISP_FRAME_NONE:
		break;
	}
	return false;
}

/* Decode what has been received up to the next event. */
static bool
decode(struct probe *probe, struct probe_event *event)
{
	struct wisp_frame_piece piece;

	while (probe->taken < probe->received_size && !probe->wrong) {
		probe->taken += wisp_frame_decode(
			&probe->frames, probe->received + probe->taken, probe->received_size - probe->taken, &piece);
		if (take_piece(probe, &piece, event))
			return true;
		if (piece.kind == WISP_FRAME_NONE)
			break;
	}
	return false;
}

static bool
read_more(struct probe *probe)
{
	if (!probe_is_open(probe) || !probe->connection.readable)
		return false;
	failure_clear(&probe->failure);
	return connection_read(&probe->connection) && probe->received_size > probe->taken;
}

/* A moment, or the end of the check's time, if it has one that comes before. */
static uint64_t
earlier(uint64_t ms, uint64_t deadline_ms)
{
	return deadline_ms != 0 && deadline_ms < ms ? deadline_ms : ms;
}

/* Whoever waits for the end of what a server sends would wait for ever when that sends pings without end. */
static bool
is_out_of_time(const struct probe *probe)
{
	return probe->checker->deadline_ms != 0 && clock_now_ms() >= probe->checker->deadline_ms;
}

/* The next event among what there is already. Returns false when there is none. */
static bool
look(struct probe *probe, struct probe_event *event)
{
	int reads = 0;

	memset(event, 0, sizeof *event);
	do {
		if (decode(probe, event))
			return true;
		flush(probe);
		probe->unread = reads++ == READS_PER_LOOK;
	} while (!probe->unread && read_more(probe));
	if (probe_is_open(probe) && probe->failure.kind != FAILURE_NONE)
		end(probe, false, probe->failure.reason);
	if (probe_is_open(probe)) {
		event->kind = PROBE_SILENCE;
		return false;
	}
	if (!probe->over)
		end(probe, false, "the server closed the connection");
	event->kind = probe->wrong ? PROBE_WRONG : PROBE_END;
	event->text = probe->over_text;
	return true;
}

void
probe_next_within(struct probe *probe, struct probe_event *event, uint64_t ms)
{
	const uint64_t deadline_ms = earlier(clock_now_ms() + ms, probe->checker->deadline_ms);

	memset(event, 0, sizeof *event);
	event->kind = PROBE_SILENCE;
	while (!is_out_of_time(probe) && !look(probe, event) && clock_now_ms() < deadline_ms)
		turn(probe, probe->unread ? 0 : deadline_ms);
}

void
probe_next_turn(struct probe *probe, struct probe_event *event, uint64_t ms)
{
	memset(event, 0, sizeof *event);
	event->kind = PROBE_SILENCE;
	if (is_out_of_time(probe) || look(probe, event))
		return;
	turn(probe, probe->unread || ms == 0 ? 0 : clock_now_ms() + ms);
	look(probe, event);
}

void
probe_next(struct probe *probe, struct probe_event *event)
{
	probe_next_within(probe, event, probe->checker->timeout_ms);
}

void
probe_idle(struct probe *probe, uint64_t ms)
{
	const uint64_t deadline_ms = earlier(clock_now_ms() + ms, probe->checker->deadline_ms);

	do {
		flush(probe);
		turn(probe, deadline_ms);
	} while (clock_now_ms() < deadline_ms);
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
			failure_set(&probe->failure, FAILURE_PASSING, "in the Wisp handshake came %s", came);
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
	failure_set(&probe->failure, FAILURE_ANSWERED, "%s", handshake->error);
	return false;
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

/* ---- words ---- */

static const char *
packet_name(uint8_t type)
{
	static const char *const names[] = {"a packet", "CONNECT", "DATA", "CONTINUE", "CLOSE", "INFO"};

	return type < sizeof names / sizeof *names ? names[type] : "a packet";
}

static void
describe_packet(const struct probe_event *event, char text[DESCRIPTION_SIZE])
{
	const char *name = packet_name(event->type);

	if (event->type == 0)
		snprintf(text, DESCRIPTION_SIZE, "a message of %zu bytes, which is no packet", event->size);
	else if (event->type == WISP_CLOSE)
		snprintf(text, DESCRIPTION_SIZE, "CLOSE of stream %u, reason 0x%02x (%s)", event->stream, event->reason,
			wisp_reason_text(event->reason));
	else if (event->type == WISP_CONTINUE)
		snprintf(text, DESCRIPTION_SIZE, "CONTINUE of stream %u with credit %u", event->stream, event->credit);
	else if (event->type > WISP_INFO)
		snprintf(text, DESCRIPTION_SIZE, "a packet of type 0x%02x for stream %u", event->type, event->stream);
	else
		snprintf(text, DESCRIPTION_SIZE, "%s of stream %u with %zu bytes", name, event->stream, event->size);
}

const char *
probe_describe(const struct probe_event *event)
{
	static char text[DESCRIPTION_SIZE];

	switch (event->kind) {
	case PROBE_PACKET:
		describe_packet(event, text);
		break;
	case PROBE_TEXT:
		snprintf(text, sizeof text, "a text message of %zu bytes", event->size);
		break;
	case PROBE_PING:
		return "a ping";
	case PROBE_PONG:
		return "a pong";
	case PROBE_CLOSE:
		snprintf(text, sizeof text, "a WebSocket close frame, status %u", event->status);
		break;
	case PROBE_END:
		snprintf(text, sizeof text, "the end of the connection (%.150s)", event->text);
		break;
	case PROBE_WRONG:
		snprintf(text, sizeof text, "a breach of RFC 6455: %.150s", event->text);
		break;
	case PROBE_SILENCE:
		return "nothing";
	}
	return text;
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
	route_init(&probe->route, options->servers, 1, 0, &options->proxies);
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
	route_init(&probe->route, server, 1, 0, &probe->checker->options->proxies);
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
