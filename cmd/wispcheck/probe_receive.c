/* What comes to a probe: bytes become frames, frames messages, and these the events that checks wait for. */
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "clock.h"
#include "probe_private.h"

/* How many buffers full are read, at the most, before it is seen whether time is up. */
#define READS_PER_LOOK 64

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
		probe_send_frame(probe, WISP_OPCODE_PONG, true, piece->data, piece->size);
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
		probe_flush(probe);
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
		probe_turn(probe, probe->unread ? 0 : deadline_ms);
}

void
probe_next_turn(struct probe *probe, struct probe_event *event, uint64_t ms)
{
	memset(event, 0, sizeof *event);
	event->kind = PROBE_SILENCE;
	if (is_out_of_time(probe) || look(probe, event))
		return;
	probe_turn(probe, probe->unread || ms == 0 ? 0 : clock_now_ms() + ms);
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
		probe_flush(probe);
		probe_turn(probe, deadline_ms);
	} while (clock_now_ms() < deadline_ms);
}
