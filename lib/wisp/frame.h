/*
 * WebSocket frames (RFC 6455 section 5), both roles, without I/O and without copying.
 *
 * The encoder writes a header in front of a payload that already lies in the send buffer. The decoder takes the
 * received bytes in pieces of any size and points into them.
 */
#ifndef WISP_FRAME_H
#define WISP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest header: 2 bytes, an 8-byte length and a 4-byte masking key. */
#define WISP_FRAME_HEADER_MAX 14
/* The longest payload of a control frame (section 5.5). */
#define WISP_FRAME_CONTROL_MAX 125
#define WISP_MASK_SIZE 4

enum wisp_opcode {
	WISP_OPCODE_CONTINUATION = 0x0,
	WISP_OPCODE_TEXT = 0x1,
	WISP_OPCODE_BINARY = 0x2,
	WISP_OPCODE_CLOSE = 0x8,
	WISP_OPCODE_PING = 0x9,
	WISP_OPCODE_PONG = 0xa,
};

/* Status codes of a close frame (section 7.4.1). */
enum wisp_ws_status {
	WISP_WS_NORMAL = 1000,
	WISP_WS_GOING_AWAY = 1001,
	WISP_WS_PROTOCOL_ERROR = 1002,
	WISP_WS_NO_STATUS = 1005,
	WISP_WS_TOO_BIG = 1009,
};

/*
 * XOR n bytes at p with the masking key (section 5.3). `phase` is how many bytes of the same payload came before: the
 * key starts there.
 */
WISP_API void wisp_mask(uint8_t *p, size_t n, const uint8_t key[WISP_MASK_SIZE], size_t phase);

/* Bytes of the header of an unfragmented frame with a payload of n bytes. */
WISP_API size_t wisp_frame_header_size(size_t n, bool masked);

/*
 * Write the header of an unfragmented frame directly in front of its payload of n bytes, which ends up masked when
 * `key` is not NULL. There must be wisp_frame_header_size() writable bytes before `payload`. Returns the frame's first
 * byte.
 */
WISP_API uint8_t *wisp_frame_encode(
	uint8_t *payload, size_t n, enum wisp_opcode opcode, const uint8_t key[WISP_MASK_SIZE]);

enum wisp_frame_kind {
	WISP_FRAME_NONE,    /* the input is used up */
	WISP_FRAME_MESSAGE, /* a piece of a text or binary message */
	WISP_FRAME_PING,
	WISP_FRAME_PONG,
	WISP_FRAME_CLOSE,
	WISP_FRAME_ERROR, /* a protocol error; wisp_frame_decoder.error says which */
};

/* What wisp_frame_decode() found. */
struct wisp_frame_piece {
	enum wisp_frame_kind kind;
	enum wisp_opcode opcode; /* MESSAGE: TEXT or BINARY */
	bool first;              /* MESSAGE: it begins a message */
	bool last;               /* MESSAGE: it ends one */
	uint8_t *data;           /* unmasked; valid until the input or the decoder changes */
	size_t size;             /* may be 0 */
};

struct wisp_frame_decoder {
	const char *error;
	uint64_t remaining; /* bytes of the current payload still to come */
	size_t phase;       /* bytes of it that have gone by */
	size_t header_size; /* bytes of the current header gathered so far */
	enum wisp_opcode opcode;
	enum wisp_opcode message; /* opcode of the message under way, CONTINUATION when there is none */
	bool expect_masked;
	bool in_payload;
	bool fin;
	bool message_started; /* a piece of the message has been handed out */
	uint8_t header[WISP_FRAME_HEADER_MAX];
	uint8_t key[WISP_MASK_SIZE];
	uint8_t control[WISP_FRAME_CONTROL_MAX];
};

/* A decoder for frames from clients, which must be masked, or from servers, which must not (section 5.1). */
WISP_API void wisp_frame_decoder_init(struct wisp_frame_decoder *decoder, bool expect_masked);

/*
 * Take bytes from the n at p, unmask them in place, and say what they hold. Returns how many were taken; call again
 * with the rest until `piece->kind` is NONE (then all were taken) or ERROR (then the connection is beyond use). Control
 * frames come whole; messages come as pieces, as they arrive.
 */
WISP_API size_t wisp_frame_decode(
	struct wisp_frame_decoder *decoder, uint8_t *p, size_t n, struct wisp_frame_piece *piece);

#ifdef __cplusplus
}
#endif

#endif
