/* What a probe sends: whatever it is told to, right or wrong. */
#include <string.h>

#include <openssl/rand.h>

#include "log.h"
#include "probe_private.h"
#include "wire.h"

/* What is written in one go. */
#define WRITE_SIZE ((size_t)WIRE_BUFFER_SIZE)

void
probe_flush(struct probe *probe)
{
	struct outbox *out = &probe->out;
	struct carrier *carrier = &probe->connection.carrier;

	if (probe->holds)
		return;
	if (probe_is_open(probe) && !carrier_flush(carrier))
		failure_set(&probe->failure, FAILURE_PASSING, "the connection broke");
	while (probe_is_open(probe) && outbox_size(out) > 0) {
		const size_t n = outbox_size(out) < WRITE_SIZE ? outbox_size(out) : WRITE_SIZE;

		if (carrier_is_full(carrier))
			return;
		if (!carrier_write(carrier, outbox_first(out), n))
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
	probe_flush(probe);
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
	probe_flush(probe);
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
	probe_flush(probe);
}

bool
probe_is_flushed(const struct probe *probe)
{
	return outbox_size(&probe->out) == 0 && !carrier_keeps(&probe->connection.carrier);
}
