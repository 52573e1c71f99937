/*
 * Fuzz target: a Wisp packet. The first byte chooses where its message is split, which must not make a difference, and
 * what was read of it is the same when it is written.
 */
#include <stdlib.h>
#include <string.h>

#include <wisp/packet.h>

#include "fuzz.h"
#include "../unit/wire.h"

/* What a decoder finds, as text. */
struct reader {
	struct wisp_packet_decoder decoder;
	struct buffer log;
	struct buffer data; /* of a DATA packet */
	bool failed;
};

static void
write_packet(struct reader *reader, struct wisp_packet *packet)
{
	if (packet->type == WISP_DATA) {
		must(packet->first == (reader->data.n == 0 && reader->log.n == 0));
		if (packet->first)
			buffer_printf(&reader->log, "begun ");
		buffer_put(&reader->data, packet->data, packet->size);
		if (!packet->last)
			return;
		packet->data = reader->data.p;
		packet->size = reader->data.n;
	}
	wire_log_packet(&reader->log, packet);
}

static void
read_piece(void *arg, uint8_t *p, size_t n, bool last)
{
	struct reader *const reader = arg;
	struct wisp_packet packet;
	enum wisp_packet_result result;

	if (reader->failed)
		return;
	result = wisp_packet_decode(&reader->decoder, p, n, last, &packet);
	reader->failed = result == WISP_PACKET_ERROR;
	must(reader->failed == (reader->decoder.error != NULL));
	must(result == WISP_PACKET_FOUND || !last || reader->failed);
	if (result == WISP_PACKET_FOUND)
		write_packet(reader, &packet);
}

static void
read_split(struct reader *reader, unsigned split, const struct input *input)
{
	wisp_packet_decoder_init(&reader->decoder);
	feed_split(split, input->p, input->n, read_piece, reader);
}

/* Write a packet that was read in one piece, and compare it with what it was read of. */
static void
check_writing(const struct input *input)
{
	struct wisp_packet_decoder decoder;
	struct wisp_packet packet;
	uint8_t *const copy = exact_copy(input->p, input->n);
	uint8_t written[WISP_PACKET_HEADER_SIZE + WISP_PAYLOAD_MAX];
	size_t n = 0;

	wisp_packet_decoder_init(&decoder);
	if (wisp_packet_decode(&decoder, copy, input->n, true, &packet) != WISP_PACKET_FOUND) {
		free(copy);
		return;
	}
	switch (packet.type) {
	case WISP_CONNECT:
		n = wisp_packet_connect(written, packet.stream_id, &packet.destination);
		must(n == input->n);
		break;
	case WISP_CONTINUE:
		n = wisp_packet_continue(written, packet.stream_id, packet.credit);
		break;
	case WISP_CLOSE:
		n = wisp_packet_close(written, packet.stream_id, packet.reason);
		if (input->n == WISP_PACKET_HEADER_SIZE)
			must(packet.reason == WISP_REASON_UNKNOWN && n-- > 0);
		break;
	case WISP_END:
		n = wisp_packet_header(written, packet.type, packet.stream_id);
		break;
	case WISP_DATA:
	case WISP_INFO:
		n = wisp_packet_header(written, packet.type, packet.stream_id);
		must(packet.size == input->n - n && memcmp(packet.data, input->p + n, packet.size) == 0);
		break;
	}
	must(n <= input->n && memcmp(written, input->p, n) == 0);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	const unsigned split = 1 + input_byte(&input);
	struct reader whole = {0}, parts = {0};

	read_split(&whole, 0, &input);
	read_split(&parts, split, &input);
	must(whole.failed == parts.failed);
	must(whole.failed || strcmp(buffer_text(&whole.log), buffer_text(&parts.log)) == 0);
	buffer_free(&whole.log);
	buffer_free(&whole.data);
	buffer_free(&parts.log);
	buffer_free(&parts.data);
	check_writing(&input);
	return 0;
}
