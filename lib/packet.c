#include <wisp/packet.h>

#include <string.h>

#include "bytes.h"

#define CONTINUE_SIZE 4

const char *
wisp_reason_text(uint8_t reason)
{
	switch ((enum wisp_reason)reason) {
	case WISP_REASON_VOLUNTARY:
		return "closed";
	case WISP_REASON_NETWORK_ERROR:
		return "network error";
	case WISP_REASON_INCOMPATIBLE:
		return "incompatible extensions";
	case WISP_REASON_INVALID:
		return "invalid destination";
	case WISP_REASON_UNREACHABLE:
		return "destination unreachable";
	case WISP_REASON_TIMED_OUT:
		return "connection timed out";
	case WISP_REASON_REFUSED:
		return "connection refused";
	case WISP_REASON_TRANSFER_TIMED_OUT:
		return "transfer timed out";
	case WISP_REASON_BLOCKED:
		return "blocked by the server's policy";
	case WISP_REASON_THROTTLED:
		return "throttled by the server";
	case WISP_REASON_CLIENT_ERROR:
		return "the client cannot take more";
	case WISP_REASON_BAD_PASSWORD:
		return "wrong user name or password";
	case WISP_REASON_BAD_SIGNATURE:
		return "wrong key";
	case WISP_REASON_CREDENTIALS_REQUIRED:
		return "credentials required";
	case WISP_REASON_UNKNOWN:
		break;
	}
	return "unknown";
}

size_t
wisp_packet_header(uint8_t *p, enum wisp_packet_type type, uint32_t stream_id)
{
	p[0] = (uint8_t)type;
	store_le32(p + 1, stream_id);
	return WISP_PACKET_HEADER_SIZE;
}

size_t
wisp_packet_connect(uint8_t *p, uint32_t stream_id, const struct wisp_destination *destination)
{
	size_t n = wisp_packet_header(p, WISP_CONNECT, stream_id);

	p[n] = (uint8_t)destination->type;
	store_le16(p + n + 1, destination->port);
	n += WISP_CONNECT_HEADER_SIZE;
	memcpy(p + n, destination->host, destination->host_size);
	return n + destination->host_size;
}

size_t
wisp_packet_continue(uint8_t *p, uint32_t stream_id, uint32_t credit)
{
	const size_t n = wisp_packet_header(p, WISP_CONTINUE, stream_id);

	store_le32(p + n, credit);
	return n + CONTINUE_SIZE;
}

size_t
wisp_packet_close(uint8_t *p, uint32_t stream_id, uint8_t reason)
{
	const size_t n = wisp_packet_header(p, WISP_CLOSE, stream_id);

	p[n] = reason;
	return n + 1;
}

void
wisp_packet_decoder_init(struct wisp_packet_decoder *decoder)
{
	decoder->error = NULL;
	decoder->gathered = 0;
	decoder->begun = false;
}

static enum wisp_packet_result
fail(struct wisp_packet_decoder *decoder, const char *error)
{
	decoder->error = error;
	return WISP_PACKET_ERROR;
}

/* Read the payload of a packet that has been gathered whole. */
static enum wisp_packet_result
parse(struct wisp_packet_decoder *decoder, struct wisp_packet *packet)
{
	uint8_t *payload = decoder->buffer + WISP_PACKET_HEADER_SIZE;
	const size_t n = decoder->gathered - WISP_PACKET_HEADER_SIZE;

	switch (packet->type) {
	case WISP_CONNECT:
		if (n < WISP_CONNECT_HEADER_SIZE)
			return fail(decoder, "a CONNECT packet is too short");
		packet->destination.type = (enum wisp_stream_type)payload[0];
		packet->destination.port = load_le16(payload + 1);
		packet->destination.host = (const char *)payload + WISP_CONNECT_HEADER_SIZE;
		packet->destination.host_size = n - WISP_CONNECT_HEADER_SIZE;
		break;
	case WISP_CONTINUE:
		if (n < CONTINUE_SIZE)
			return fail(decoder, "a CONTINUE packet is too short");
		packet->credit = load_le32(payload);
		break;
	case WISP_CLOSE:
		packet->reason = n > 0 ? payload[0] : WISP_REASON_UNKNOWN;
		break;
	case WISP_INFO:
		packet->data = payload;
		packet->size = n;
		break;
	case WISP_END: /* a payload would be a later version's */
	case WISP_DATA:
		break;
	}
	return WISP_PACKET_FOUND;
}

static bool
is_known(uint8_t type)
{
	return (type >= WISP_CONNECT && type <= WISP_INFO) || type == WISP_END;
}

/* Move up to `want` bytes into the buffer in total. Returns how many of the n were taken. */
static size_t
gather(struct wisp_packet_decoder *decoder, const uint8_t *p, size_t n, size_t want)
{
	size_t size = want - decoder->gathered;

	if (size > n)
		size = n;
	memcpy(decoder->buffer + decoder->gathered, p, size);
	decoder->gathered += size;
	return size;
}

enum wisp_packet_result
wisp_packet_decode(struct wisp_packet_decoder *decoder, uint8_t *p, size_t n, bool last, struct wisp_packet *packet)
{
	enum wisp_packet_result result = WISP_PACKET_NONE;
	size_t taken = 0;

	memset(packet, 0, sizeof *packet);
	if (decoder->gathered < WISP_PACKET_HEADER_SIZE)
		taken = gather(decoder, p, n, WISP_PACKET_HEADER_SIZE);
	if (decoder->gathered < WISP_PACKET_HEADER_SIZE)
		return last ? fail(decoder, "a packet is shorter than its header") : WISP_PACKET_NONE;

	packet->stream_id = load_le32(decoder->buffer + 1);
	if (!is_known(decoder->buffer[0]))
		return fail(decoder, "a packet has an unknown type");
	packet->type = (enum wisp_packet_type)decoder->buffer[0];
	if (packet->type == WISP_DATA) {
		packet->data = p + taken;
		packet->size = n - taken;
		packet->first = !decoder->begun;
		packet->last = last;
		if (packet->size > 0 || last)
			result = WISP_PACKET_FOUND;
		decoder->begun = (decoder->begun || result == WISP_PACKET_FOUND) && !last;
	} else {
		taken += gather(decoder, p + taken, n - taken, sizeof decoder->buffer);
		if (taken < n)
			return fail(decoder, "a packet is too long for its type");
		if (last)
			result = parse(decoder, packet);
	}
	if (last)
		decoder->gathered = 0;
	return result;
}
