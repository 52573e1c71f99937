#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 40

void
wire_init(struct wire *wire, bool masked)
{
	memset(wire, 0, sizeof *wire);
	wisp_frame_decoder_init(&wire->frames, masked);
	wisp_packet_decoder_init(&wire->packets);
}

void
wire_free(struct wire *wire)
{
	buffer_free(&wire->log);
	buffer_free(&wire->data);
}

static void
log_payload(struct buffer *log, const uint8_t *p, size_t n)
{
	if (n > TEXT_MAX) {
		buffer_printf(log, "[%zu]", n);
		return;
	}
	buffer_printf(log, "(");
	buffer_put_escaped(log, p, n);
	buffer_printf(log, ")");
}

void
wire_log_packet(struct buffer *log, const struct wisp_packet *packet)
{
	switch (packet->type) {
	case WISP_CONNECT:
		buffer_printf(log, "CONNECT %u %s ", packet->stream_id,
			packet->destination.type == WISP_TCP   ? "tcp"
			: packet->destination.type == WISP_UDP ? "udp"
							       : "other");
		buffer_put_escaped(log, (const uint8_t *)packet->destination.host, packet->destination.host_size);
		buffer_printf(log, " %u", packet->destination.port);
		break;
	case WISP_DATA:
		buffer_printf(log, "DATA %u ", packet->stream_id);
		log_payload(log, packet->data, packet->size);
		break;
	case WISP_CONTINUE:
		buffer_printf(log, "CONTINUE %u %u", packet->stream_id, packet->credit);
		break;
	case WISP_CLOSE:
		buffer_printf(log, "CLOSE %u 0x%02x", packet->stream_id, packet->reason);
		break;
	case WISP_END:
		buffer_printf(log, "END-OF-DATA %u", packet->stream_id);
		break;
	case WISP_INFO:
		buffer_printf(log, "INFO %u ", packet->stream_id);
		log_payload(log, packet->data, packet->size);
		break;
	}
	buffer_printf(log, "\n");
}

static void
take_packet(struct wire *wire, struct wisp_packet *packet)
{
	if (packet->type == WISP_DATA) {
		buffer_put(&wire->data, packet->data, packet->size);
		if (!packet->last)
			return;
		packet->data = wire->data.p;
		packet->size = wire->data.n;
		buffer_clear(&wire->data);
	}
	wire_log_packet(&wire->log, packet);
	if (wire->packet != NULL)
		wire->packet(wire->arg, packet);
}

static void
take_message(struct wire *wire, const struct wisp_frame_piece *piece)
{
	struct wisp_packet packet;

	switch (wisp_packet_decode(&wire->packets, piece->data, piece->size, piece->last, &packet)) {
	case WISP_PACKET_NONE:
		break;
	case WISP_PACKET_FOUND:
		take_packet(wire, &packet);
		break;
	case WISP_PACKET_ERROR:
		buffer_printf(&wire->log, "ERROR %s\n", wire->packets.error);
		wire->failed = true;
		break;
	}
}

static void
log_control(struct wire *wire, const char *name, const struct wisp_frame_piece *piece)
{
	buffer_printf(&wire->log, "%s ", name);
	log_payload(&wire->log, piece->data, piece->size);
	buffer_printf(&wire->log, "\n");
}

static void
take_piece(struct wire *wire, const struct wisp_frame_piece *piece)
{
	switch (piece->kind) {
	case WISP_FRAME_MESSAGE:
		take_message(wire, piece);
		break;
	case WISP_FRAME_PING:
		log_control(wire, "PING", piece);
		break;
	case WISP_FRAME_PONG:
		log_control(wire, "PONG", piece);
		break;
	case WISP_FRAME_CLOSE:
		buffer_printf(&wire->log, "END %d\n", piece->size < 2 ? 0 : piece->data[0] << 8 | piece->data[1]);
		break;
	case WISP_FRAME_ERROR:
		buffer_printf(&wire->log, "ERROR %s\n", wire->frames.error);
		wire->failed = true;
		break;
	case WISP_FRAME_NONE:
		break;
	}
}

void
wire_take(struct wire *wire, const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	struct wisp_frame_piece piece;
	size_t at = 0;

	do {
		at += wisp_frame_decode(&wire->frames, copy + at, n - at, &piece);
		take_piece(wire, &piece);
	} while (piece.kind != WISP_FRAME_NONE && !wire->failed);
	free(copy);
}
