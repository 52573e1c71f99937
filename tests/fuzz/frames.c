/*
 * Fuzz target: WebSocket frames. The first byte chooses whose they are, the second where they are split, which must not
 * make a difference.
 */
#include <stdlib.h>
#include <string.h>

#include <wisp/frame.h>

#include "fuzz.h"

/* What a decoder finds, as text. */
struct reader {
	struct wisp_frame_decoder decoder;
	struct buffer log;
	bool in_message;
};

static void
write_message(struct reader *reader, const struct wisp_frame_piece *piece)
{
	must(piece->opcode == WISP_OPCODE_TEXT || piece->opcode == WISP_OPCODE_BINARY);
	must(piece->first == !reader->in_message);
	if (piece->first)
		buffer_printf(&reader->log, "message %d ", (int)piece->opcode);
	buffer_put_escaped(&reader->log, piece->data, piece->size);
	if (piece->last)
		buffer_printf(&reader->log, "\n");
	reader->in_message = !piece->last;
}

static void
write_piece(struct reader *reader, const struct wisp_frame_piece *piece)
{
	switch (piece->kind) {
	case WISP_FRAME_NONE:
		break;
	case WISP_FRAME_MESSAGE:
		write_message(reader, piece);
		break;
	case WISP_FRAME_PING:
	case WISP_FRAME_PONG:
	case WISP_FRAME_CLOSE:
		must(piece->size <= WISP_FRAME_CONTROL_MAX);
		buffer_printf(&reader->log, "control %d ", (int)piece->kind);
		buffer_put_escaped(&reader->log, piece->data, piece->size);
		buffer_printf(&reader->log, "\n");
		break;
	case WISP_FRAME_ERROR:
		must(reader->decoder.error != NULL);
		buffer_printf(&reader->log, "error %s\n", reader->decoder.error);
		break;
	}
}

static void
read_frames(void *arg, uint8_t *p, size_t n, bool last)
{
	struct reader *const reader = arg;
	struct wisp_frame_piece piece = {.kind = WISP_FRAME_MESSAGE};
	size_t at = 0;

	(void)last;
	while (reader->decoder.error == NULL && piece.kind != WISP_FRAME_NONE) {
		const size_t taken = wisp_frame_decode(&reader->decoder, p + at, n - at, &piece);

		must(taken <= n - at);
		at += taken;
		write_piece(reader, &piece);
	}
	must(at == n || piece.kind == WISP_FRAME_ERROR || reader->decoder.error != NULL);
}

static void
read_split(struct reader *reader, unsigned split, bool masked, const struct input *input)
{
	wisp_frame_decoder_init(&reader->decoder, masked);
	feed_split(split, input->p, input->n, read_frames, reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	const bool masked = input_byte(&input) % 2;
	const unsigned split = 1 + input_byte(&input);
	struct reader whole = {0}, parts = {0};

	read_split(&whole, 0, masked, &input);
	read_split(&parts, split, masked, &input);
	must(strcmp(buffer_text(&whole.log), buffer_text(&parts.log)) == 0);
	buffer_free(&whole.log);
	buffer_free(&parts.log);
	return 0;
}
