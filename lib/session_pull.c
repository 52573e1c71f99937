#include "session_private.h"

#include <string.h>

#include <openssl/rand.h>

#include "bytes.h"

/* A stream that is short of credit waits for this much data, for WISP_GATHER_MS at the most. */
#define GATHER_BYTES 16384

/* A bulk of data is not cut to fit the last few bytes of a send buffer. */
#define ROOM_MIN 8192

/* The bytes being made: `used` of `size` at `p`. Nothing is begun, and no stream cut to fit, beyond `goal`. */
struct output {
	uint8_t *p;
	size_t size;
	size_t goal;
	size_t used;
};

static struct wisp_stream *
stream_of(struct wisp_flow *flow)
{
	return (struct wisp_stream *)((char *)flow - offsetof(struct wisp_stream, flow));
}

/* ---- frames ---- */

/* The key for the next frame. Each frame needs a new one that nobody can foresee (RFC 6455 section 5.3). */
static const uint8_t *
next_key(struct wisp_session *session)
{
	const uint8_t *key;

	if (session->keys_used == sizeof session->keys) {
		if (RAND_bytes(session->keys, sizeof session->keys) != 1) {
			wisp_session_fail(session, WISP_WS_GOING_AWAY, "no randomness for masking keys");
			return NULL;
		}
		session->keys_used = 0;
	}
	key = session->keys + session->keys_used;
	session->keys_used += WISP_MASK_SIZE;
	return key;
}

/*
 * Make a frame of the n bytes that stand somewhere behind the output's end, with room for the header before them, and
 * append it. Small payloads have small headers, and move up.
 */
static bool
append_frame(struct wisp_session *session, struct output *out, uint8_t *payload, size_t n, enum wisp_opcode opcode)
{
	const uint8_t *key = NULL;
	uint8_t *const frame = out->p + out->used;
	const size_t header_size = wisp_frame_header_size(n, session->client);

	if (session->client && (key = next_key(session)) == NULL)
		return false;
	if (payload != frame + header_size)
		memmove(frame + header_size, payload, n);
	wisp_frame_encode(frame + header_size, n, opcode, key);
	out->used += header_size + n;
	return true;
}

/* Where the payload of a short frame is put together. */
static uint8_t *
scratch(const struct output *out)
{
	return out->p + out->used + WISP_FRAME_HEADER_MAX;
}

/* ---- what the connection itself sends ---- */

static bool
pull_pong(struct wisp_session *session, struct output *out)
{
	memcpy(scratch(out), session->pong, session->pong_size);
	session->pong_pending = false;
	return append_frame(session, out, scratch(out), session->pong_size, WISP_OPCODE_PONG);
}

static bool
pull_ping(struct wisp_session *session, struct output *out)
{
	session->ping_pending = false;
	session->ping_awaited = true;
	session->ping_number++;
	memcpy(scratch(out), &session->ping_number, sizeof session->ping_number);
	return append_frame(session, out, scratch(out), sizeof session->ping_number, WISP_OPCODE_PING);
}

static bool
pull_ws_close(struct wisp_session *session, struct output *out)
{
	session->close_pending = false;
	session->close_sent = true;
	store_be16(scratch(out), session->close_status);
	return append_frame(session, out, scratch(out), 2, WISP_OPCODE_CLOSE);
}

static bool
pull_handshake(struct wisp_session *session, struct output *out)
{
	size_t n;

	if (out->size - out->used < WISP_FRAME_HEADER_MAX + WISP_HANDSHAKE_PACKET_MAX)
		return false;
	n = wisp_handshake_send(&session->handshake, scratch(out));
	return append_frame(session, out, scratch(out), n, WISP_OPCODE_BINARY);
}

/* ---- streams ---- */

/* A packet of the stream is sent: it may be that nothing else is pending. */
static void
settle(struct wisp_stream *stream, enum pending sent)
{
	stream->pending &= (uint8_t)~sent;
	if (stream->pending == 0)
		TAILQ_REMOVE(&stream->session->control, stream, control_entry);
}

static size_t
write_connect(struct wisp_stream *stream, uint8_t *p)
{
	const struct wisp_destination destination = {
		.type = (enum wisp_stream_type)stream->type,
		.port = stream->port,
		.host = stream->host,
		.host_size = stream->host_size,
	};

	settle(stream, PENDING_CONNECT);
	return wisp_packet_connect(p, stream->id, &destination);
}

static size_t
write_continue(struct wisp_stream *stream, uint8_t *p)
{
	settle(stream, PENDING_CONTINUE);
	stream->credit = wisp_stream_room(stream);
	return wisp_packet_continue(p, stream->id, stream->credit);
}

/* The stream is gone afterwards: without a word, if the server never heard of it. */
static size_t
write_close(struct wisp_stream *stream, uint8_t *p)
{
	size_t n = 0;

	if (!(stream->pending & PENDING_CONNECT))
		n = wisp_packet_close(p, stream->id, stream->reason);
	wisp_stream_free(stream);
	return n;
}

/* To a client whose data has ended, a server's end is the stream's. */
static size_t
write_end(struct wisp_stream *stream, uint8_t *p)
{
	settle(stream, PENDING_END);
	if (stream->session->client || !stream->peer_ended)
		return wisp_packet_header(p, WISP_END, stream->id);
	wisp_stream_break(stream, WISP_REASON_VOLUNTARY);
	return 0;
}

/* Send the first of the packets that are pending for a stream. The stream may be gone afterwards. */
static bool
pull_control(struct wisp_session *session, struct wisp_stream *stream, struct output *out)
{
	size_t n;

	if (stream->pending & PENDING_CLOSE)
		n = write_close(stream, scratch(out));
	else if (stream->pending & PENDING_CONNECT)
		n = write_connect(stream, scratch(out));
	else if (stream->pending & PENDING_CONTINUE)
		n = write_continue(stream, scratch(out));
	else
		n = write_end(stream, scratch(out));
	return n == 0 || append_frame(session, out, scratch(out), n, WISP_OPCODE_BINARY);
}

static void
hold(struct wisp_stream *stream)
{
	wisp_stream_delist(stream);
	stream->state = STREAM_HELD;
	stream->held_until_ms = stream->session->now_ms + WISP_GATHER_MS;
	TAILQ_INSERT_TAIL(&stream->session->held, stream, held_entry);
}

/* Whether the program may still be asked for data: any callback may have ended it. */
static bool
may_read(const struct wisp_stream *stream)
{
	return stream->state != STREAM_CLOSED && !stream->ended;
}

/* Whether a stream should wait for more data rather than spend its last credit on what there is. */
static bool
should_gather(const struct wisp_stream *stream)
{
	size_t available;

	if (stream->gathered || !wisp_stream_short_of_credit(stream))
		return false;
	available = stream->callbacks->available(stream->arg);
	return may_read(stream) && available > 0 && available < GATHER_BYTES;
}

/* Make a packet of the n bytes that a stream has read behind the headers' room. */
static bool
append_data(struct wisp_session *session, struct wisp_stream *stream, struct output *out, uint8_t *packet, size_t n)
{
	n += wisp_packet_header(packet, WISP_DATA, stream->id);
	/* With its header, so that datagrams without any bytes have their price. */
	wisp_schedule_charge(&stream->flow, n, session->now_ms);
	return append_frame(session, out, packet, n, WISP_OPCODE_BINARY);
}

/* How many bytes the stream whose turn it is may read, with so much room at the most. */
static size_t
limit_read(const struct wisp_stream *stream, size_t room)
{
	/* Behind a newcomer there may be another that has but a word to say. */
	const size_t limit = stream->flow.list == WISP_FLOW_NEW ? WISP_QUANTUM : WISP_DATA_MAX;

	return room < limit ? room : limit;
}

/* Let the stream whose turn it is send one packet. Returns false when the output is full. */
static bool
pull_data(struct wisp_session *session, struct wisp_stream *stream, struct output *out)
{
	const size_t frame_header = wisp_frame_header_size(WISP_DATA_MAX, session->client);
	const size_t header = frame_header + WISP_PACKET_HEADER_SIZE;
	uint8_t *const packet = out->p + out->used + frame_header;
	size_t room = out->goal - out->used - header;
	size_t n;

	if (out->used > 0 && room < ROOM_MIN)
		return false;
	if (wisp_stream_counts_credit(stream) && stream->credit == 0) {
		wisp_stream_delist(stream);
		stream->state = STREAM_BLOCKED;
		return true;
	}
	if (should_gather(stream)) {
		hold(stream);
		return true;
	}
	if (!may_read(stream))
		return true; /* because of the callback that said what there is */
	room = limit_read(stream, room);
	n = stream->callbacks->read(stream->arg, packet + WISP_PACKET_HEADER_SIZE, room);
	if (stream->state == STREAM_CLOSED)
		return true;
	stream->gathered = false;
	if (n == 0) {
		wisp_stream_delist(stream);
		return true;
	}
	if (wisp_stream_counts_credit(stream))
		stream->credit--;
	if (!append_data(session, stream, out, packet, n))
		return false;
	if (n == room)
		wisp_schedule_demote(&session->schedule, &stream->flow);
	return true;
}

/*
 * The same for a UDP stream, which sends one datagram, whole. One that fills the room may have been cut, unless it was
 * known to be that long: it is lost, which is what UDP may do.
 */
static bool
pull_datagram(struct wisp_session *session, struct wisp_stream *stream, struct output *out)
{
	uint8_t *const packet = out->p + out->used + WISP_FRAME_HEADER_MAX;
	size_t room = out->size - out->used - WISP_FRAME_HEADER_MAX - WISP_PACKET_HEADER_SIZE;
	const size_t known = stream->callbacks->available(stream->arg);
	size_t n;

	if (stream->state == STREAM_CLOSED)
		return true;
	if (known > room && out->used > 0)
		return false;
	if (room > WISP_DATAGRAM_MAX)
		room = WISP_DATAGRAM_MAX;
	n = stream->callbacks->read(stream->arg, packet + WISP_PACKET_HEADER_SIZE, room);
	if (stream->state == STREAM_CLOSED)
		return true;
	if (n == 0) {
		wisp_stream_delist(stream);
		return true;
	}
	if (n == room && n != known)
		return true;
	return append_data(session, stream, out, packet, n == WISP_EMPTY_DATAGRAM ? 0 : n);
}

void
wisp_stream_enlist(struct wisp_stream *stream)
{
	struct wisp_session *session = stream->session;

	if (wisp_stream_counts_credit(stream) && stream->credit == 0) {
		wisp_stream_delist(stream);
		stream->state = STREAM_BLOCKED;
		return;
	}
	if (stream->state == STREAM_HELD)
		wisp_stream_delist(stream);
	stream->state = STREAM_READY;
	wisp_schedule_add(&session->schedule, &stream->flow, session->now_ms);
	wisp_session_wake(session);
}

void
wisp_stream_delist(struct wisp_stream *stream)
{
	struct wisp_session *session = stream->session;

	if (stream->state == STREAM_HELD)
		TAILQ_REMOVE(&session->held, stream, held_entry);
	wisp_schedule_remove(&session->schedule, &stream->flow);
	if (stream->state != STREAM_CLOSED)
		stream->state = STREAM_IDLE;
}

bool
wisp_stream_ready(struct wisp_stream *stream)
{
	switch (stream->state) {
	case STREAM_IDLE:
		if (!stream->ended)
			wisp_stream_enlist(stream);
		break;
	case STREAM_HELD:
		if (!should_gather(stream) && stream->state == STREAM_HELD)
			wisp_stream_enlist(stream);
		break;
	case STREAM_READY:
	case STREAM_BLOCKED:
	case STREAM_CLOSED:
		break;
	}
	return stream->state == STREAM_READY;
}

/* Those that have been held for long enough send what they have. */
static void
release_held(struct wisp_session *session)
{
	struct wisp_stream *stream;

	while ((stream = TAILQ_FIRST(&session->held)) != NULL && stream->held_until_ms <= session->now_ms) {
		stream->gathered = true;
		wisp_stream_enlist(stream);
	}
}

/* ---- the pull ---- */

bool
wisp_session_pending(const struct wisp_session *session)
{
	if (session->close_sent)
		return false;
	return session->close_pending || session->pong_pending || session->ping_pending ||
	       wisp_handshake_pending(&session->handshake) || !TAILQ_EMPTY(&session->control) ||
	       !TAILQ_EMPTY(&session->schedule.new_flows) || !TAILQ_EMPTY(&session->schedule.old_flows);
}

uint64_t
wisp_session_deadline_ms(const struct wisp_session *session)
{
	const struct wisp_stream *first = TAILQ_FIRST(&session->held);

	return first != NULL ? first->held_until_ms : 0;
}

/* Append the next frame, most urgent first. Returns false when there is none, or no room for it. */
static bool
pull_frame(struct wisp_session *session, struct output *out)
{
	struct wisp_flow *flow;
	struct wisp_stream *stream;

	if (session->close_sent || out->used >= out->goal || out->goal - out->used < WISP_PULL_MIN)
		return false;
	if (session->handshake.send_close)
		return pull_handshake(session, out);
	if (session->close_pending)
		return pull_ws_close(session, out);
	if (session->pong_pending)
		return pull_pong(session, out);
	if (session->ping_pending)
		return pull_ping(session, out);
	if (wisp_handshake_pending(&session->handshake))
		return pull_handshake(session, out);
	if (!TAILQ_EMPTY(&session->control))
		return pull_control(session, TAILQ_FIRST(&session->control), out);
	flow = wisp_schedule_next(&session->schedule);
	if (flow == NULL)
		return false;
	stream = stream_of(flow);
	return stream->type == WISP_UDP ? pull_datagram(session, stream, out) : pull_data(session, stream, out);
}

size_t
wisp_session_pull(struct wisp_session *session, uint8_t *p, size_t n, size_t goal, uint64_t now_ms)
{
	struct output out = {.p = p, .size = n, .goal = goal < n ? goal : n};

	session->woken = true; /* the caller is at it */
	session->now_ms = now_ms;
	release_held(session);
	while (pull_frame(session, &out))
		;
	session->woken = wisp_session_pending(session);
	return out.used;
}
