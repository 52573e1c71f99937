#include "session_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "bytes.h"

/* What a packet counts for at the most when a server works out how many more it can buffer. */
#define PACKET_BYTES 65536

static int
compare_ids(const struct wisp_stream *a, const struct wisp_stream *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

/* RB_GENERATE_STATIC of some libbsd versions does not compile. */
/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyzer cannot see that a node was removed before it was freed */
RB_GENERATE_INTERNAL(stream_tree, wisp_stream, by_id, compare_ids, static __attribute__((unused)))

static void end_stream(struct wisp_stream *stream, uint8_t reason);

/* ---- life of a session ---- */

static struct wisp_session *
session_new(bool client, const struct wisp_session_callbacks *callbacks, void *arg)
{
	struct wisp_session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return NULL;
	session->callbacks = callbacks;
	session->arg = arg;
	session->client = client;
	session->next_id = 1;
	session->max_streams = SIZE_MAX / 4;
	session->keys_used = sizeof session->keys;
	RB_INIT(&session->streams);
	TAILQ_INIT(&session->control);
	TAILQ_INIT(&session->held);
	wisp_schedule_init(&session->schedule);
	wisp_frame_decoder_init(&session->frames, !client);
	wisp_packet_decoder_init(&session->packets);
	return session;
}

struct wisp_session *
wisp_session_new_client(
	const struct wisp_client_options *options, const struct wisp_session_callbacks *callbacks, void *arg)
{
	struct wisp_session *session = session_new(true, callbacks, arg);

	if (session != NULL)
		wisp_handshake_init_client(&session->handshake, options);
	return session;
}

struct wisp_session *
wisp_session_new_server(const struct wisp_server_options *options, uint8_t version, size_t max_streams,
	const struct wisp_session_callbacks *callbacks, void *arg)
{
	struct wisp_session *session = session_new(false, callbacks, arg);

	if (session == NULL)
		return NULL;
	wisp_handshake_init_server(&session->handshake, options, version);
	session->credit = options->credit;
	session->max_streams = max_streams;
	if (session->handshake.state == WISP_HANDSHAKE_FAILED) {
		session->woken = true; /* the caller does not know the session yet */
		wisp_session_fail(session, WISP_WS_NORMAL, "%s", session->handshake.error);
	}
	return session;
}

void
wisp_session_free(struct wisp_session *session)
{
	struct wisp_stream *stream;

	if (session == NULL)
		return;
	/* Whatever the callbacks do: nothing is opened any more, and nothing is there to be pulled. */
	session->handshake.state = WISP_HANDSHAKE_FAILED;
	session->woken = true;
	while ((stream = RB_MIN(stream_tree, &session->streams)) != NULL)
		end_stream(stream, WISP_REASON_NETWORK_ERROR);
	free(session->datagram);
	free(session);
}

void
wisp_session_fail(struct wisp_session *session, uint16_t status, const char *format, ...)
{
	va_list args;

	if (session->error != NULL)
		return;
	va_start(args, format);
	vsnprintf(session->error_text, sizeof session->error_text, format, args);
	va_end(args);
	session->error = session->error_text;
	wisp_session_shutdown(session, (enum wisp_ws_status)status);
}

void
wisp_session_wake(struct wisp_session *session)
{
	if (session->woken)
		return;
	session->woken = true;
	session->callbacks->wake(session->arg);
}

void
wisp_session_ping(struct wisp_session *session)
{
	session->ping_pending = true;
	session->ping_awaited = false;
	wisp_session_wake(session);
}

void
wisp_session_shutdown(struct wisp_session *session, enum wisp_ws_status status)
{
	if (session->close_pending || session->close_sent)
		return;
	session->close_status = (uint16_t)status;
	session->close_pending = true;
	wisp_session_wake(session);
}

const char *
wisp_session_error(const struct wisp_session *session)
{
	return session->error;
}

const struct wisp_handshake *
wisp_session_handshake(const struct wisp_session *session)
{
	return &session->handshake;
}

unsigned
wisp_session_close_status(const struct wisp_session *session)
{
	return session->peer_status;
}

unsigned
wisp_session_version(const struct wisp_session *session)
{
	return session->handshake.state == WISP_HANDSHAKE_DONE ? session->handshake.version : 0;
}

size_t
wisp_session_stream_count(const struct wisp_session *session)
{
	return session->stream_count;
}

/* ---- life of a stream ---- */

static struct wisp_stream *
find_stream(struct wisp_session *session, uint32_t id)
{
	struct wisp_stream key;

	if (session->last_found != NULL && session->last_found->id == id)
		return session->last_found;
	key.id = id;
	session->last_found = RB_FIND(stream_tree, &session->streams, &key);
	return session->last_found;
}

/* Put a stream that is all zero into the session. */
static void
link_stream(struct wisp_stream *stream, struct wisp_session *session, uint32_t id,
	const struct wisp_destination *destination)
{
	stream->session = session;
	stream->id = id;
	stream->type = (uint8_t)destination->type;
	stream->credit = session->credit;
	stream->confirmed = !session->handshake.confirmation;
	RB_INSERT(stream_tree, &session->streams, stream);
	session->stream_count++;
}

static struct wisp_stream *
stream_new(struct wisp_session *session, uint32_t id, const struct wisp_destination *destination)
{
	struct wisp_stream *stream = calloc(1, sizeof *stream);

	if (stream != NULL)
		link_stream(stream, session, id, destination);
	return stream;
}

/* Take a stream out of the session. Only its memory is left. */
static void
unlink_stream(struct wisp_stream *stream)
{
	struct wisp_session *session = stream->session;

	wisp_stream_delist(stream);
	stream->state = STREAM_CLOSED;
	if (stream->pending != 0)
		TAILQ_REMOVE(&session->control, stream, control_entry);
	if (stream->pending & PENDING_CLOSE)
		session->close_count--;
	if (session->last_found == stream)
		session->last_found = NULL;
	RB_REMOVE(stream_tree, &session->streams, stream);
	session->stream_count--;
}

static void
release_stream(struct wisp_stream *stream)
{
	free(stream->host);
	if (stream == &stream->session->spare)
		memset(stream, 0, sizeof *stream);
	else
		free(stream);
}

void
wisp_stream_free(struct wisp_stream *stream)
{
	unlink_stream(stream);
	release_stream(stream);
}

/* End a stream that the caller did not close. */
static void
end_stream(struct wisp_stream *stream, uint8_t reason)
{
	const struct wisp_stream_callbacks *const callbacks = stream->callbacks;

	unlink_stream(stream);
	if (callbacks != NULL)
		callbacks->closed(stream->arg, reason);
	release_stream(stream);
}

void
wisp_stream_pend(struct wisp_stream *stream, enum pending pending)
{
	struct wisp_session *session = stream->session;

	if (stream->pending == 0)
		TAILQ_INSERT_TAIL(&session->control, stream, control_entry);
	stream->pending |= (uint8_t)pending;
	wisp_session_wake(session);
}

/* The next id that no stream has: after four billion streams they begin again. */
static uint32_t
unused_id(struct wisp_session *session)
{
	uint32_t id;

	do {
		id = session->next_id++;
	} while (id == WISP_CONNECTION || find_stream(session, id) != NULL);
	return id;
}

struct wisp_stream *
wisp_stream_open(struct wisp_session *session, const struct wisp_destination *destination,
	const struct wisp_stream_callbacks *callbacks, void *stream_arg)
{
	struct wisp_stream *stream;

	if (session->handshake.state != WISP_HANDSHAKE_DONE || session->error != NULL)
		return NULL;
	if (destination->host_size < 1 || destination->host_size > WISP_HOST_MAX)
		return NULL;
	if (destination->type == WISP_UDP && !session->handshake.udp)
		return NULL;
	stream = stream_new(session, unused_id(session), destination);
	if (stream == NULL)
		return NULL;
	stream->host = malloc(destination->host_size);
	if (stream->host == NULL) {
		wisp_stream_free(stream);
		return NULL;
	}
	memcpy(stream->host, destination->host, destination->host_size);
	stream->host_size = (uint8_t)destination->host_size;
	stream->port = destination->port;
	stream->callbacks = callbacks;
	stream->arg = stream_arg;
	wisp_stream_pend(stream, PENDING_CONNECT);
	return stream;
}

void
wisp_stream_accept(struct wisp_stream *stream, const struct wisp_stream_callbacks *callbacks, void *stream_arg)
{
	stream->callbacks = callbacks;
	stream->arg = stream_arg;
}

uint32_t
wisp_stream_id(const struct wisp_stream *stream)
{
	return stream->id;
}

void
wisp_stream_close(struct wisp_stream *stream, uint8_t reason)
{
	stream->callbacks = NULL;
	if (stream->state == STREAM_CLOSED)
		return;
	wisp_stream_delist(stream);
	stream->state = STREAM_CLOSED;
	stream->reason = reason;
	stream->session->close_count++;
	wisp_stream_pend(stream, PENDING_CLOSE);
}

void
wisp_stream_break(struct wisp_stream *stream, uint8_t reason)
{
	const struct wisp_stream_callbacks *const callbacks = stream->callbacks;
	void *const arg = stream->arg;

	wisp_stream_close(stream, reason);
	if (callbacks != NULL)
		callbacks->closed(arg, reason);
}

bool
wisp_stream_end(struct wisp_stream *stream)
{
	if (!stream->session->handshake.end_of_data || stream->type != WISP_TCP)
		return false;
	if (stream->ended || stream->state == STREAM_CLOSED)
		return true;
	stream->ended = true;
	wisp_stream_delist(stream);
	wisp_stream_pend(stream, PENDING_END);
	return true;
}

/* ---- credit ---- */

bool
wisp_stream_counts_credit(const struct wisp_stream *stream)
{
	return stream->session->client && stream->type == WISP_TCP;
}

bool
wisp_stream_short_of_credit(const struct wisp_stream *stream)
{
	return wisp_stream_counts_credit(stream) && stream->credit <= stream->session->credit / 4;
}

uint32_t
wisp_stream_room(const struct wisp_stream *stream)
{
	const size_t packets = (stream->backlog_bytes + PACKET_BYTES - 1) / PACKET_BYTES;
	const uint32_t credit = stream->session->credit;

	return packets < credit ? credit - (uint32_t)packets : 0;
}

/*
 * Send new credit when it makes a difference of a quarter of the buffer: often enough that the client need not wait. To
 * a client that wants to know when the stream is open, it would say that it is.
 */
static void
refresh_credit(struct wisp_stream *stream)
{
	const uint32_t step = stream->session->credit / 4;
	const uint32_t room = wisp_stream_room(stream);

	if (stream->session->client || stream->type != WISP_TCP || stream->state == STREAM_CLOSED || !stream->confirmed)
		return;
	if (stream->peer_ended)
		return;
	if (room > stream->credit && room - stream->credit >= step)
		wisp_stream_pend(stream, PENDING_CONTINUE);
}

void
wisp_stream_set_backlog(struct wisp_stream *stream, size_t bytes)
{
	stream->backlog_bytes = bytes;
	refresh_credit(stream);
}

void
wisp_stream_confirm(struct wisp_stream *stream)
{
	stream->confirmed = true;
	if (stream->session->handshake.confirmation && stream->type == WISP_TCP)
		wisp_stream_pend(stream, PENDING_CONTINUE);
}

static void
receive_continue(struct wisp_session *session, struct wisp_stream *stream, uint32_t credit)
{
	if (!session->client || stream->state == STREAM_CLOSED)
		return;
	stream->credit = credit;
	if (credit > 0 && (stream->state == STREAM_BLOCKED || stream->state == STREAM_HELD))
		wisp_stream_enlist(stream);
	if (stream->callbacks->granted != NULL)
		stream->callbacks->granted(stream->arg);
}

/* ---- what arrives ---- */

/* Refuse a CONNECT: all that the stream ever sees is its CLOSE. For one at a time, there is memory in any case. */
static void
refuse_stream(struct wisp_session *session, const struct wisp_packet *packet, uint8_t reason)
{
	struct wisp_stream *stream = stream_new(session, packet->stream_id, &packet->destination);

	if (stream == NULL && session->spare.session == NULL) {
		stream = &session->spare;
		link_stream(stream, session, packet->stream_id, &packet->destination);
	}
	if (stream == NULL)
		wisp_session_fail(session, WISP_WS_GOING_AWAY, "out of memory");
	else
		wisp_stream_close(stream, reason);
}

static bool
valid_destination(const struct wisp_destination *destination)
{
	if (destination->type != WISP_TCP && destination->type != WISP_UDP)
		return false;
	if (destination->port == 0 || destination->host_size < 1 || destination->host_size > WISP_HOST_MAX)
		return false;
	for (size_t i = 0; i < destination->host_size; i++)
		if ((unsigned char)destination->host[i] <= ' ' || destination->host[i] == 0x7f)
			return false;
	return true;
}

static void
receive_connect(struct wisp_session *session, const struct wisp_packet *packet)
{
	struct wisp_stream *stream;

	if (session->client || packet->stream_id == WISP_CONNECTION) {
		wisp_session_fail(session, WISP_WS_PROTOCOL_ERROR, "protocol error: a CONNECT packet out of place");
	} else if (find_stream(session, packet->stream_id) != NULL) {
		wisp_session_fail(session, WISP_WS_PROTOCOL_ERROR, "protocol error: a stream id is used twice");
	} else if (!valid_destination(&packet->destination)) {
		refuse_stream(session, packet, WISP_REASON_INVALID);
	} else if (packet->destination.type == WISP_UDP && !session->handshake.udp) {
		refuse_stream(session, packet, WISP_REASON_BLOCKED);
	} else if (session->stream_count >= session->max_streams) {
		refuse_stream(session, packet, WISP_REASON_THROTTLED);
	} else {
		stream = stream_new(session, packet->stream_id, &packet->destination);
		if (stream == NULL)
			refuse_stream(session, packet, WISP_REASON_THROTTLED);
		else
			session->callbacks->open(session->arg, stream, &packet->destination);
	}
}

/* Append a piece of a datagram to what there is of it. Without memory for it, it is lost: that is what UDP may do. */
static void
gather_datagram(struct wisp_session *session, const struct wisp_packet *packet)
{
	if (session->datagram == NULL)
		session->datagram = malloc(WISP_DATAGRAM_MAX);
	if (session->datagram == NULL || packet->size > WISP_DATAGRAM_MAX - session->datagram_size) {
		session->datagram_lost = true;
		return;
	}
	if (packet->size > 0)
		memcpy(session->datagram + session->datagram_size, packet->data, packet->size);
	session->datagram_size += packet->size;
}

/* Hand out a datagram when it is whole. Messages do not mix, so there is never more than one under way. */
static void
receive_datagram(struct wisp_session *session, struct wisp_stream *stream, const struct wisp_packet *packet)
{
	uint8_t *p = packet->data;
	size_t n = packet->size;

	if (packet->first) {
		session->datagram_size = 0;
		session->datagram_lost = n > WISP_DATAGRAM_MAX;
	}
	if (!packet->first || !packet->last) {
		gather_datagram(session, packet);
		p = session->datagram;
		n = session->datagram_size;
	}
	if (packet->last && !session->datagram_lost && stream->callbacks != NULL)
		stream->callbacks->data(stream->arg, p, n, true);
}

static void
receive_data(struct wisp_session *session, struct wisp_stream *stream, const struct wisp_packet *packet)
{
	if (stream->type == WISP_UDP) {
		receive_datagram(session, stream, packet);
		return;
	}
	if (stream->callbacks == NULL)
		return;
	if (stream->peer_ended) {
		wisp_stream_break(stream, WISP_REASON_NETWORK_ERROR);
		return;
	}
	if (!session->client && packet->last && stream->credit > 0)
		stream->credit--;
	stream->callbacks->data(stream->arg, packet->data, packet->size, packet->last);
	refresh_credit(stream);
}

/*
 * The other side's data has ended. When ours has, and the other side knows, a server closes the stream; when it has yet
 * to be told, it is told that instead (pull_end()). An END in the wrong place costs the sender its stream.
 */
static void
receive_end(struct wisp_session *session, struct wisp_stream *stream)
{
	if (stream->callbacks == NULL)
		return;
	if (!session->handshake.end_of_data || stream->type != WISP_TCP || stream->peer_ended) {
		wisp_stream_break(stream, WISP_REASON_NETWORK_ERROR);
		return;
	}
	stream->peer_ended = true;
	if (!session->client && stream->ended && !(stream->pending & PENDING_END))
		wisp_stream_break(stream, WISP_REASON_VOLUNTARY);
	else if (stream->callbacks->ended != NULL)
		stream->callbacks->ended(stream->arg);
}

/* A packet for the connection itself, after the handshake. */
static void
receive_for_connection(struct wisp_session *session, const struct wisp_packet *packet)
{
	/* wisp-mux 5.1 sends INFO behind a v1 server's CONTINUE, and speaks v1 to a client that does not answer it. */
	if (packet->type == WISP_INFO && session->client && session->handshake.version == 1)
		return;
	if (packet->type == WISP_CLOSE) {
		if (packet->reason == WISP_REASON_INCOMPATIBLE || packet->reason >= WISP_REASON_BAD_PASSWORD)
			session->handshake.reason = packet->reason;
		wisp_session_fail(session, WISP_WS_NORMAL, "the %s closed the connection (%s)",
			session->client ? "server" : "client", wisp_reason_text(packet->reason));
	} else if (packet->type != WISP_CONTINUE) {
		wisp_session_fail(session, WISP_WS_PROTOCOL_ERROR, "protocol error: a packet of type %d on stream 0",
			(int)packet->type);
	}
}

static void
receive_packet(struct wisp_session *session, const struct wisp_packet *packet)
{
	struct wisp_stream *stream;

	if (packet->type == WISP_CONNECT) {
		receive_connect(session, packet);
		return;
	}
	if (packet->stream_id == WISP_CONNECTION) {
		receive_for_connection(session, packet);
		return;
	}
	stream = find_stream(session, packet->stream_id);
	if (stream == NULL) {
		session->datagram_lost = true; /* for the stream may be opened before the rest of it comes */
		return;                        /* it crossed our CLOSE */
	}
	switch (packet->type) {
	case WISP_DATA:
		receive_data(session, stream, packet);
		break;
	case WISP_CONTINUE:
		receive_continue(session, stream, packet->credit);
		break;
	case WISP_CLOSE:
		end_stream(stream, packet->reason);
		break;
	case WISP_END:
		receive_end(session, stream);
		break;
	case WISP_CONNECT:
	case WISP_INFO:
		wisp_session_fail(session, WISP_WS_PROTOCOL_ERROR, "protocol error: an INFO packet on a stream");
		break;
	}
}

/* The other end of the WebSocket is no Wisp server. */
static void
fail_foreign(struct wisp_session *session)
{
	wisp_session_fail(
		session, WISP_WS_PROTOCOL_ERROR, "the server does not speak Wisp (%s)", session->handshake.error);
}

static void
receive_handshake(struct wisp_session *session, const struct wisp_packet *packet)
{
	struct wisp_handshake *handshake = &session->handshake;

	wisp_handshake_receive(handshake, packet);
	if (handshake->motd != NULL && session->callbacks->motd != NULL)
		session->callbacks->motd(session->arg, handshake->motd, handshake->motd_size);
	if (handshake->state == WISP_HANDSHAKE_DONE) {
		session->credit = handshake->credit;
		session->callbacks->ready(session->arg);
	} else if (handshake->send_close) {
		wisp_session_fail(session, WISP_WS_NORMAL, "%s", handshake->error);
	} else if (handshake->reason != 0) {
		wisp_session_fail(session, WISP_WS_NORMAL, "the %s refused the connection (%s)",
			session->client ? "server" : "client", wisp_reason_text(handshake->reason));
	} else if (handshake->fault == WISP_FAULT_NOT_WISP) {
		fail_foreign(session);
	} else if (handshake->state == WISP_HANDSHAKE_FAILED) {
		wisp_session_fail(session, WISP_WS_PROTOCOL_ERROR, "%s", handshake->error);
	}
	if (wisp_handshake_pending(handshake))
		wisp_session_wake(session);
	if (packet->type == WISP_INFO)
		OPENSSL_cleanse(packet->data, packet->size); /* there may be a password in it */
}

static void
receive_message(struct wisp_session *session, const struct wisp_frame_piece *piece)
{
	struct wisp_packet packet;

	if (piece->opcode == WISP_OPCODE_TEXT) {
		/* Text is ignored, except as a server's first message: then it is not a Wisp server. */
		if (wisp_handshake_receive_foreign(&session->handshake, "the server begins with text"))
			fail_foreign(session);
		return;
	}
	switch (wisp_packet_decode(&session->packets, piece->data, piece->size, piece->last, &packet)) {
	case WISP_PACKET_NONE:
		break;
	case WISP_PACKET_FOUND:
		if (session->handshake.state == WISP_HANDSHAKE_DONE)
			receive_packet(session, &packet);
		else
			receive_handshake(session, &packet);
		break;
	case WISP_PACKET_ERROR:
		if (wisp_handshake_receive_foreign(&session->handshake, session->packets.error))
			fail_foreign(session);
		else
			wisp_session_fail(
				session, WISP_WS_PROTOCOL_ERROR, "protocol error: %s", session->packets.error);
		break;
	}
}

/* What the other side wrote in its close frame, made fit to print. */
static void
copy_printable(char *to, size_t size, const uint8_t *from, size_t n)
{
	size_t i;

	for (i = 0; i < n && i + 1 < size; i++)
		to[i] = (char)(from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?');
	to[i] = '\0';
}

/* Whether a status code may stand in a close frame (RFC 6455 section 7.4). */
static bool
is_sendable(unsigned status)
{
	return status >= WISP_WS_NORMAL && status < 5000 && status != WISP_WS_NO_STATUS && status != 1004 &&
	       status != 1006 && status != 1015;
}

static void
receive_ws_close(struct wisp_session *session, const struct wisp_frame_piece *piece)
{
	char text[100] = "";

	session->peer_status = WISP_WS_NO_STATUS;
	if (piece->size == 1) {
		wisp_session_fail(session, WISP_WS_PROTOCOL_ERROR, "protocol error: a close frame is too short");
		return;
	}
	if (piece->size >= 2) {
		session->peer_status = load_be16(piece->data);
		copy_printable(text, sizeof text, piece->data + 2, piece->size - 2);
	}
	/* The answer carries the same status (RFC 6455 section 5.5.1), unless it is one that no frame may carry. */
	wisp_session_fail(session, is_sendable(session->peer_status) ? session->peer_status : WISP_WS_NORMAL,
		"the %s closed the WebSocket (status %u%s%s)", session->client ? "server" : "client",
		session->peer_status, text[0] != '\0' ? ": " : "", text);
}

/* A pong counts when it answers the last ping: with that one's number. */
static void
receive_pong(struct wisp_session *session, const struct wisp_frame_piece *piece)
{
	if (!session->ping_awaited || piece->size != sizeof session->ping_number ||
		memcmp(piece->data, &session->ping_number, piece->size) != 0)
		return;
	session->ping_awaited = false;
	if (session->callbacks->pong != NULL)
		session->callbacks->pong(session->arg);
}

static void
receive_piece(struct wisp_session *session, const struct wisp_frame_piece *piece)
{
	switch (piece->kind) {
	case WISP_FRAME_MESSAGE:
		receive_message(session, piece);
		break;
	case WISP_FRAME_PING:
		/* Only the last of several pings has to be answered (RFC 6455 section 5.5.3). */
		memcpy(session->pong, piece->data, piece->size);
		session->pong_size = piece->size;
		session->pong_pending = true;
		wisp_session_wake(session);
		break;
	case WISP_FRAME_CLOSE:
		receive_ws_close(session, piece);
		break;
	case WISP_FRAME_ERROR:
		wisp_session_fail(session, WISP_WS_PROTOCOL_ERROR, "protocol error: %s", session->frames.error);
		break;
	case WISP_FRAME_PONG:
		receive_pong(session, piece);
		break;
	case WISP_FRAME_NONE:
		break;
	}
}

size_t
wisp_session_untaken(const struct wisp_session *session)
{
	return session->untaken;
}

bool
wisp_session_takes(const struct wisp_session *session)
{
	const size_t limit = session->full ? WISP_CLOSES_MAX / 2 : WISP_CLOSES_MAX - 1;

	return session->client || session->close_count <= limit;
}

bool
wisp_session_feed(struct wisp_session *session, uint8_t *p, size_t n)
{
	struct wisp_frame_piece piece;

	session->untaken = n;
	session->full = !wisp_session_takes(session);
	while (session->error == NULL && !session->full) {
		const size_t taken = wisp_frame_decode(&session->frames, p, n, &piece);

		receive_piece(session, &piece);
		p += taken;
		n -= taken;
		session->untaken = n;
		session->full = !wisp_session_takes(session);
		if (piece.kind == WISP_FRAME_NONE)
			break;
	}
	return session->error == NULL;
}
