#include <wisp/frame.h>

#include <string.h>

#include "bytes.h"

#define FIN 0x80
#define RESERVED 0x70
#define OPCODE 0x0f
#define CONTROL 0x08
#define MASKED 0x80
#define LENGTH 0x7f
#define LENGTH_16 126
#define LENGTH_64 127

/* One step of the masking loop, anywhere in memory. The compiler makes it the widest vector that the machine has. */
typedef uint64_t mask_block __attribute__((vector_size(32), aligned(1), may_alias));

void
wisp_mask(uint8_t *p, size_t n, const uint8_t key[WISP_MASK_SIZE], size_t phase)
{
	uint8_t turned[WISP_MASK_SIZE];
	uint32_t word;
	uint64_t pair;
	mask_block keys;
	size_t i = 0;

	for (size_t k = 0; k < WISP_MASK_SIZE; k++)
		turned[k] = key[(phase + k) % WISP_MASK_SIZE];
	memcpy(&word, turned, sizeof word);
	pair = (uint64_t)word << 32 | word;
	keys = (mask_block){pair, pair, pair, pair};

	for (; n - i >= sizeof keys; i += sizeof keys)
		*(mask_block *)(p + i) ^= keys;
	for (; i < n; i++)
		p[i] ^= turned[i % WISP_MASK_SIZE];
}

size_t
wisp_frame_header_size(size_t n, bool masked)
{
	size_t size = 2 + (masked ? WISP_MASK_SIZE : 0);

	if (n < LENGTH_16)
		return size;
	return size + (n <= UINT16_MAX ? 2 : 8);
}

uint8_t *
wisp_frame_encode(uint8_t *payload, size_t n, enum wisp_opcode opcode, const uint8_t key[WISP_MASK_SIZE])
{
	uint8_t *start = payload - wisp_frame_header_size(n, key != NULL);
	const uint8_t masked = key != NULL ? MASKED : 0;

	start[0] = (uint8_t)(FIN | (unsigned)opcode);
	if (n < LENGTH_16) {
		start[1] = (uint8_t)(masked | n);
	} else if (n <= UINT16_MAX) {
		start[1] = masked | LENGTH_16;
		store_be16(start + 2, (uint16_t)n);
	} else {
		start[1] = masked | LENGTH_64;
		store_be64(start + 2, n);
	}
	if (key != NULL) {
		memcpy(payload - WISP_MASK_SIZE, key, WISP_MASK_SIZE);
		wisp_mask(payload, n, key, 0);
	}
	return start;
}

void
wisp_frame_decoder_init(struct wisp_frame_decoder *decoder, bool expect_masked)
{
	memset(decoder, 0, sizeof *decoder);
	decoder->expect_masked = expect_masked;
}

/* The size of the header whose first bytes are given, as far as they tell: it grows once the second byte is there. */
static size_t
header_size_needed(const uint8_t *header, size_t have)
{
	size_t need = 2;

	if (have < 2)
		return need;
	if ((header[1] & LENGTH) == LENGTH_16)
		need += 2;
	else if ((header[1] & LENGTH) == LENGTH_64)
		need += 8;
	if (header[1] & MASKED)
		need += WISP_MASK_SIZE;
	return need;
}

/* Check the first two bytes as soon as they are there: what follows may be megabytes of nonsense. */
static const char *
check_start(const struct wisp_frame_decoder *decoder)
{
	const uint8_t *header = decoder->header;
	const unsigned opcode = header[0] & OPCODE;
	const unsigned length = header[1] & LENGTH;
	const bool masked = header[1] & MASKED;

	if (header[0] & RESERVED)
		return "reserved bits are set in a frame";
	if (masked != decoder->expect_masked)
		return masked ? "a frame from the server is masked" : "a frame from the client is not masked";
	if (opcode & CONTROL) {
		if (opcode > WISP_OPCODE_PONG)
			return "a frame has a reserved opcode";
		if (!(header[0] & FIN))
			return "a control frame is fragmented";
		if (length > WISP_FRAME_CONTROL_MAX)
			return "a control frame is longer than 125 bytes";
		return NULL;
	}
	if (opcode > WISP_OPCODE_BINARY)
		return "a frame has a reserved opcode";
	if (opcode == WISP_OPCODE_CONTINUATION && decoder->message == WISP_OPCODE_CONTINUATION)
		return "a continuation frame continues nothing";
	if (opcode != WISP_OPCODE_CONTINUATION && decoder->message != WISP_OPCODE_CONTINUATION)
		return "a message begins inside another";
	return NULL;
}

/* Read the extended length and the key of a complete header. Returns what is wrong with it, or NULL. */
static const char *
parse_rest(struct wisp_frame_decoder *decoder)
{
	const uint8_t *p = decoder->header + 2;
	const unsigned length = decoder->header[1] & LENGTH;

	decoder->remaining = length;
	if (length == LENGTH_16) {
		decoder->remaining = load_be16(p);
		p += 2;
		if (decoder->remaining < LENGTH_16)
			return "a frame's length is not in its shortest form";
	} else if (length == LENGTH_64) {
		decoder->remaining = load_be64(p);
		p += 8;
		if (decoder->remaining <= UINT16_MAX)
			return "a frame's length is not in its shortest form";
		if (decoder->remaining > INT64_MAX)
			return "a frame's length has its top bit set";
	}
	if (decoder->expect_masked)
		memcpy(decoder->key, p, WISP_MASK_SIZE);
	return NULL;
}

static void
begin_payload(struct wisp_frame_decoder *decoder)
{
	decoder->opcode = (enum wisp_opcode)(decoder->header[0] & OPCODE);
	decoder->fin = decoder->header[0] & FIN;
	decoder->phase = 0;
	decoder->in_payload = true;
	decoder->header_size = 0;
	if (decoder->opcode == WISP_OPCODE_TEXT || decoder->opcode == WISP_OPCODE_BINARY) {
		decoder->message = decoder->opcode;
		decoder->message_started = false;
	}
}

/* Gather header bytes. Returns how many were taken; the payload begins when decoder->in_payload is set. */
static size_t
take_header(struct wisp_frame_decoder *decoder, const uint8_t *p, size_t n)
{
	size_t taken = 0;

	while (taken < n && !decoder->in_payload) {
		decoder->header[decoder->header_size++] = p[taken++];
		if (decoder->header_size == 2)
			decoder->error = check_start(decoder);
		if (decoder->error != NULL)
			break;
		if (decoder->header_size < header_size_needed(decoder->header, decoder->header_size))
			continue;
		decoder->error = parse_rest(decoder);
		if (decoder->error != NULL)
			break;
		begin_payload(decoder);
	}
	return taken;
}

/* A control frame is gathered in the decoder, so that it is whole wherever the input was split. */
static void
take_control(struct wisp_frame_decoder *decoder, const uint8_t *p, size_t n, struct wisp_frame_piece *piece)
{
	static const enum wisp_frame_kind kinds[] = {
		[WISP_OPCODE_CLOSE] = WISP_FRAME_CLOSE,
		[WISP_OPCODE_PING] = WISP_FRAME_PING,
		[WISP_OPCODE_PONG] = WISP_FRAME_PONG,
	};

	memcpy(decoder->control + decoder->phase - n, p, n);
	if (decoder->remaining > 0)
		return;
	decoder->in_payload = false;
	piece->kind = kinds[decoder->opcode];
	piece->data = decoder->control;
	piece->size = decoder->phase;
}

static void
take_message(struct wisp_frame_decoder *decoder, uint8_t *p, size_t n, struct wisp_frame_piece *piece)
{
	const bool frame_ends = decoder->remaining == 0;

	piece->last = frame_ends && decoder->fin;
	if (n > 0 || piece->last) {
		piece->kind = WISP_FRAME_MESSAGE;
		piece->opcode = decoder->message;
		piece->first = !decoder->message_started;
		piece->data = p;
		piece->size = n;
		decoder->message_started = true;
	}
	if (frame_ends)
		decoder->in_payload = false;
	if (piece->last)
		decoder->message = WISP_OPCODE_CONTINUATION;
}

size_t
wisp_frame_decode(struct wisp_frame_decoder *decoder, uint8_t *p, size_t n, struct wisp_frame_piece *piece)
{
	size_t taken = 0;

	memset(piece, 0, sizeof *piece);
	while (piece->kind == WISP_FRAME_NONE) {
		size_t size;

		if (decoder->error == NULL && !decoder->in_payload)
			taken += take_header(decoder, p + taken, n - taken);
		if (decoder->error != NULL) {
			piece->kind = WISP_FRAME_ERROR;
			break;
		}
		if (!decoder->in_payload || (taken == n && decoder->remaining > 0))
			break;
		size = n - taken;
		if (size > decoder->remaining)
			size = (size_t)decoder->remaining;
		if (decoder->expect_masked)
			wisp_mask(p + taken, size, decoder->key, decoder->phase);
		decoder->phase += size;
		decoder->remaining -= size;
		if ((unsigned)decoder->opcode & CONTROL)
			take_control(decoder, p + taken, size, piece);
		else
			take_message(decoder, p + taken, size, piece);
		taken += size;
	}
	return taken;
}
