#include "peer.h"

#include <stdlib.h>
#include <string.h>

/* ---- callbacks ---- */

static const struct wisp_stream_callbacks stream_callbacks;

static void
call_hook(struct peer_stream *stream, enum peer_event event)
{
	if (stream->peer->hook != NULL)
		stream->peer->hook(stream, event);
}

static struct peer_stream *
stream_new(struct peer *peer)
{
	struct peer_stream *const stream = must_alloc(sizeof *stream);

	stream->peer = peer;
	stream->read_max = SIZE_MAX;
	TAILQ_INSERT_TAIL(&peer->streams, stream, entry);
	return stream;
}

static void
set_stream(struct peer_stream *stream, struct wisp_stream *wisp_stream, enum wisp_stream_type type)
{
	stream->stream = wisp_stream;
	stream->udp = type == WISP_UDP;
	stream->id = wisp_stream_id(wisp_stream);
}

static void
on_ready(void *arg)
{
	struct peer *const peer = arg;

	buffer_printf(&peer->events, "ready\n");
}

static void
on_wake(void *arg)
{
	struct peer *const peer = arg;

	peer->wakes++;
}

static void
on_open(void *arg, struct wisp_stream *wisp_stream, const struct wisp_destination *destination)
{
	struct peer *const peer = arg;
	struct peer_stream *const stream = stream_new(peer);

	set_stream(stream, wisp_stream, destination->type);
	wisp_stream_accept(wisp_stream, &stream_callbacks, stream);
	buffer_printf(&peer->events, "open %u %s ", stream->id, destination->type == WISP_TCP ? "tcp" : "udp");
	buffer_put_escaped(&peer->events, (const uint8_t *)destination->host, destination->host_size);
	buffer_printf(&peer->events, " %u\n", destination->port);
	if (!peer->connects_later)
		wisp_stream_confirm(wisp_stream);
	call_hook(stream, PEER_OPEN);
}

/* There is never a callback for a stream that is over. */
static struct peer_stream *
live_stream(void *arg)
{
	struct peer_stream *const stream = arg;

	assert_non_null(stream);
	assert_non_null(stream->stream);
	return stream;
}

static void
on_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct peer_stream *const stream = live_stream(arg);

	buffer_put(&stream->received, p, n);
	if (stream->udp)
		buffer_printf(&stream->received_sizes, "%zu ", n);
	stream->received_packets += last;
	call_hook(stream, PEER_DATA);
}

static void
on_closed(void *arg, uint8_t reason)
{
	struct peer_stream *const stream = live_stream(arg);

	buffer_printf(&stream->peer->events, "closed %u 0x%02x\n", stream->id, reason);
	stream->reason = reason;
	call_hook(stream, PEER_CLOSED);
	stream->stream = NULL;
}

/* Take n bytes out of what the application has to send, and hand out `size` of them. */
static size_t
take_outgoing(struct peer_stream *stream, uint8_t *p, size_t size, size_t n)
{
	memcpy(p, stream->outgoing.p + stream->outgoing_at, size);
	stream->outgoing_at += n;
	if (stream->outgoing_at == stream->outgoing.n) {
		stream->outgoing_at = 0;
		buffer_clear(&stream->outgoing);
	}
	return size;
}

/* The size of the next datagram. Returns false when there is none. */
static bool
next_datagram(const struct peer_stream *stream, size_t *size)
{
	if (stream->datagrams_at == stream->datagrams.n)
		return false;
	memcpy(size, stream->datagrams.p + stream->datagrams_at, sizeof *size);
	return true;
}

/* As recv() does: what does not fit is lost. */
static size_t
read_datagram(struct peer_stream *stream, uint8_t *p, size_t n)
{
	size_t size;

	if (!next_datagram(stream, &size))
		return 0;
	stream->datagrams_at += sizeof size;
	if (size == 0)
		return WISP_EMPTY_DATAGRAM;
	return take_outgoing(stream, p, size < n ? size : n, size);
}

static size_t
on_read(void *arg, uint8_t *p, size_t n)
{
	struct peer_stream *const stream = live_stream(arg);
	size_t size = stream->outgoing.n - stream->outgoing_at;

	stream->peer->reads++;
	call_hook(stream, PEER_READ);
	if (stream->udp)
		return read_datagram(stream, p, n);
	if (size > stream->read_max)
		size = stream->read_max;
	if (size > n)
		size = n;
	return size == 0 ? 0 : take_outgoing(stream, p, size, size);
}

static size_t
on_available(void *arg)
{
	struct peer_stream *const stream = live_stream(arg);
	size_t size = stream->outgoing.n - stream->outgoing_at;

	if (stream->udp && !next_datagram(stream, &size))
		size = 0;
	call_hook(stream, PEER_AVAILABLE);
	return size;
}

static void
on_granted(void *arg)
{
	struct peer_stream *const stream = live_stream(arg);

	buffer_printf(&stream->peer->events, "granted %u\n", stream->id);
	call_hook(stream, PEER_GRANTED);
}

static void
on_ended(void *arg)
{
	struct peer_stream *const stream = live_stream(arg);

	buffer_printf(&stream->peer->events, "ended %u\n", stream->id);
	call_hook(stream, PEER_ENDED);
}

static void
on_motd(void *arg, const uint8_t *p, size_t n)
{
	struct peer *const peer = arg;

	buffer_printf(&peer->events, "motd ");
	buffer_put_escaped(&peer->events, p, n);
	buffer_printf(&peer->events, "\n");
}

static void
on_pong(void *arg)
{
	struct peer *const peer = arg;

	buffer_printf(&peer->events, "pong\n");
}

static const struct wisp_session_callbacks callbacks = {
	.ready = on_ready,
	.wake = on_wake,
	.motd = on_motd,
	.pong = on_pong,
	.open = on_open,
};

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_data,
	.closed = on_closed,
	.read = on_read,
	.available = on_available,
	.granted = on_granted,
	.ended = on_ended,
};

/* ---- life ---- */

static struct peer *
peer_new(bool client)
{
	struct peer *const peer = must_alloc(sizeof *peer);

	peer->client = client;
	peer->now_ms = 1000;
	TAILQ_INIT(&peer->streams);
	wire_init(&peer->wire, client);
	return peer;
}

const struct wisp_client_options peer_client_options = {
	.udp = true, .confirm = true, .end_of_data = true, .trusted = true};
const struct wisp_server_options peer_server_options = {.udp = true, .end_of_data = true, .credit = PEER_CREDIT};

struct peer *
peer_try_client(const struct wisp_client_options *options)
{
	struct peer *const peer = peer_new(true);

	peer->client_options = *options;
	peer->session = wisp_session_new_client(&peer->client_options, &callbacks, peer);
	return peer;
}

struct peer *
peer_new_client_with(const struct wisp_client_options *options)
{
	struct peer *const peer = peer_try_client(options);

	assert_non_null(peer->session);
	return peer;
}

struct peer *
peer_new_client(enum wisp_versions versions)
{
	struct wisp_client_options options = peer_client_options;

	options.versions = versions;
	return peer_new_client_with(&options);
}

static struct peer *
try_server(const struct wisp_server_options *options, uint8_t version, size_t max_streams)
{
	struct peer *const peer = peer_new(false);

	peer->server_options = *options;
	peer->session = wisp_session_new_server(&peer->server_options, version, max_streams, &callbacks, peer);
	return peer;
}

struct peer *
peer_try_server(const struct wisp_server_options *options, uint8_t version)
{
	return try_server(options, version, 10);
}

static struct peer *
new_server(const struct wisp_server_options *options, uint8_t version, size_t max_streams)
{
	struct peer *const peer = try_server(options, version, max_streams);

	assert_non_null(peer->session);
	return peer;
}

struct peer *
peer_new_server_with(const struct wisp_server_options *options, uint8_t version)
{
	return new_server(options, version, 10);
}

struct peer *
peer_new_server(uint8_t version, uint32_t credit, size_t max_streams)
{
	struct wisp_server_options options = peer_server_options;

	options.credit = credit;
	return new_server(&options, version, max_streams);
}

struct peer *
peer_new_ready_client(uint32_t credit)
{
	struct peer *const peer = peer_new_client(WISP_VERSION_AUTO);

	assert_true(peer_hear_continue(peer, WISP_CONNECTION, credit));
	assert_string_equal(peer_events(peer), "ready\n");
	return peer;
}

struct peer *
peer_new_ready_server(uint32_t credit, size_t max_streams)
{
	struct peer *const peer = peer_new_server(1, credit, max_streams);

	peer_pull_all(peer);
	return peer;
}

struct peer *
peer_new_with_stream(bool client)
{
	struct peer *const peer = client ? peer_new_ready_client(PEER_CREDIT) : peer_new_ready_server(PEER_CREDIT, 10);

	if (client) {
		peer_open(peer, WISP_TCP, "host");
		assert_string_equal(peer_pull_all(peer), "CONNECT 1 tcp host 80\n");
	} else {
		assert_true(peer_hear_connect(peer, 1, "host"));
		assert_string_equal(peer_events(peer), "open 1 tcp host 80\n");
	}
	assert_int_equal(wisp_session_stream_count(peer->session), 1);
	return peer;
}

void
peer_end(struct peer *peer)
{
	wisp_session_free(peer->session);
	peer->session = NULL;
}

void
peer_free(struct peer *peer)
{
	struct peer_stream *stream;

	peer->hook = NULL;
	peer_end(peer);
	while ((stream = TAILQ_FIRST(&peer->streams)) != NULL) {
		TAILQ_REMOVE(&peer->streams, stream, entry);
		buffer_free(&stream->outgoing);
		buffer_free(&stream->datagrams);
		buffer_free(&stream->received);
		buffer_free(&stream->received_sizes);
		free(stream);
	}
	buffer_free(&peer->events);
	buffer_free(&peer->sent);
	wire_free(&peer->wire);
	free(peer);
}

/* ---- what the application does ---- */

struct peer_stream *
peer_try_open(struct peer *peer, enum wisp_stream_type type, const char *host)
{
	const struct wisp_destination destination = {type, 80, host, strlen(host)};
	struct peer_stream *const stream = stream_new(peer);
	struct wisp_stream *const wisp_stream =
		wisp_stream_open(peer->session, &destination, &stream_callbacks, stream);

	if (wisp_stream == NULL)
		return NULL;
	set_stream(stream, wisp_stream, type);
	return stream;
}

struct peer_stream *
peer_open(struct peer *peer, enum wisp_stream_type type, const char *host)
{
	struct peer_stream *const stream = peer_try_open(peer, type, host);

	assert_non_null(stream);
	return stream;
}

/* The last stream that had the id. */
struct peer_stream *
peer_stream(struct peer *peer, uint32_t id)
{
	struct peer_stream *stream, *found = NULL;

	TAILQ_FOREACH (stream, &peer->streams, entry) {
		if (stream->id == id)
			found = stream;
	}
	return found;
}

void
peer_end_datagram(struct peer_stream *stream, size_t n)
{
	buffer_put(&stream->datagrams, &n, sizeof n);
}

void
peer_write(struct peer_stream *stream, const void *p, size_t n)
{
	buffer_put(&stream->outgoing, p, n);
	if (stream->udp)
		peer_end_datagram(stream, n);
	wisp_stream_ready(stream->stream);
}

void
peer_write_text(struct peer_stream *stream, const char *text)
{
	peer_write(stream, text, strlen(text));
}

void
peer_write_bulk(struct peer_stream *stream, size_t n)
{
	struct rng rng = rng_seeded(stream->id);
	uint8_t *const p = must_alloc(n);

	rng_fill(&rng, p, n);
	peer_write(stream, p, n);
	free(p);
}

bool
peer_end_data(struct peer_stream *stream)
{
	assert_int_equal(stream->outgoing_at, stream->outgoing.n);
	return wisp_stream_end(stream->stream);
}

void
peer_close(struct peer_stream *stream, uint8_t reason)
{
	struct wisp_stream *const wisp_stream = stream->stream;

	stream->stream = NULL;
	wisp_stream_close(wisp_stream, reason);
}

/* ---- what it sends ---- */

const char *
peer_pull_goal(struct peer *peer, size_t n, size_t goal)
{
	uint8_t *const p = must_realloc(NULL, n);
	const size_t log_at = peer->wire.log.n;
	size_t got;

	got = wisp_session_pull(peer->session, p, n, goal, peer->now_ms);
	assert_true(got <= n);
	buffer_clear(&peer->sent);
	buffer_put(&peer->sent, p, got);
	wire_take(&peer->wire, p, got);
	assert_false(peer->wire.failed);
	free(p);
	return buffer_text(&peer->wire.log) + log_at;
}

const char *
peer_pull(struct peer *peer, size_t n)
{
	return peer_pull_goal(peer, n, n);
}

const char *
peer_pull_all(struct peer *peer)
{
	return peer_pull(peer, 1 << 20);
}

const char *
peer_log(struct peer *peer)
{
	return buffer_text(&peer->wire.log);
}

void
peer_expect_end(struct peer *peer, const char *says)
{
	wisp_session_ping(peer->session);
	assert_true(wisp_session_pending(peer->session));
	assert_string_equal(peer_pull_all(peer), says);
	assert_false(wisp_session_pending(peer->session));
	wisp_session_ping(peer->session);
	wisp_session_shutdown(peer->session, WISP_WS_GOING_AWAY);
	assert_false(wisp_session_pending(peer->session));
	assert_string_equal(peer_pull_all(peer), "");
}

const char *
peer_events(struct peer *peer)
{
	const char *const text = buffer_text(&peer->events);

	buffer_clear(&peer->events);
	return text;
}

/* ---- what it hears ---- */

bool
peer_hear(struct peer *peer, const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	const bool going_on = wisp_session_feed(peer->session, copy, n);

	free(copy);
	assert_int_equal(going_on, wisp_session_error(peer->session) == NULL);
	return going_on;
}

bool
peer_hear_frame(struct peer *peer, enum wisp_opcode opcode, const void *payload, size_t n)
{
	static const uint8_t key[WISP_MASK_SIZE] = {0x12, 0xfe, 0x80, 0x01};
	uint8_t *const frame = must_alloc(WISP_FRAME_HEADER_MAX + n);
	uint8_t *start;
	bool going_on;

	if (n > 0)
		memcpy(frame + WISP_FRAME_HEADER_MAX, payload, n);
	start = wisp_frame_encode(frame + WISP_FRAME_HEADER_MAX, n, opcode, peer->client ? NULL : key);
	going_on = peer_hear(peer, start, (size_t)(frame + WISP_FRAME_HEADER_MAX + n - start));
	free(frame);
	return going_on;
}

bool
peer_hear_message(struct peer *peer, const uint8_t *p, size_t n)
{
	return peer_hear_frame(peer, WISP_OPCODE_BINARY, p, n);
}

bool
peer_hear_connect(struct peer *peer, uint32_t id, const char *host)
{
	const struct wisp_destination destination = {WISP_TCP, 80, host, strlen(host)};
	uint8_t p[1024];

	assert_true(destination.host_size < sizeof p - 100);
	return peer_hear_message(peer, p, wisp_packet_connect(p, id, &destination));
}

bool
peer_hear_data(struct peer *peer, uint32_t id, const char *text)
{
	uint8_t p[1024];
	const size_t n = strlen(text);

	assert_true(n < sizeof p - 100);
	memcpy(p + wisp_packet_header(p, WISP_DATA, id), text, n);
	return peer_hear_message(peer, p, WISP_PACKET_HEADER_SIZE + n);
}

bool
peer_hear_continue(struct peer *peer, uint32_t id, uint32_t credit)
{
	uint8_t p[16];

	return peer_hear_message(peer, p, wisp_packet_continue(p, id, credit));
}

bool
peer_hear_close(struct peer *peer, uint32_t id, uint8_t reason)
{
	uint8_t p[16];

	return peer_hear_message(peer, p, wisp_packet_close(p, id, reason));
}

bool
peer_hear_end(struct peer *peer, uint32_t id)
{
	uint8_t p[16];

	return peer_hear_message(peer, p, wisp_packet_header(p, WISP_END, id));
}

/* ---- two of them ---- */

/* Nothing may be fed to a session that is over. */
static void
feed_session(void *arg, uint8_t *p, size_t n, bool last)
{
	struct peer *const peer = arg;

	(void)last;
	if (wisp_session_error(peer->session) == NULL)
		wisp_session_feed(peer->session, p, n);
}

static size_t
carry(struct peer *from, struct peer *to, unsigned split, size_t pull_size)
{
	peer_pull(from, pull_size);
	if (from->sent.n > 0)
		feed_split(split, from->sent.p, from->sent.n, feed_session, to);
	return from->sent.n;
}

void
peer_exchange(struct peer *a, struct peer *b, unsigned split, size_t pull_size)
{
	size_t carried;

	do {
		carried = carry(a, b, split, pull_size);
		carried += carry(b, a, split, pull_size);
	} while (carried > 0);
}
