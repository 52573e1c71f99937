/*
 * Wisp packets (Wisp specification, "Packet Types"): each is one binary WebSocket message of a type, a stream id and a
 * payload. All integers are little-endian.
 */
#ifndef WISP_PACKET_H
#define WISP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_PACKET_HEADER_SIZE 5
#define WISP_CONNECT_HEADER_SIZE 3
/* The longest destination that CONNECT may carry: a host name of the DNS, or an address as text. */
#define WISP_HOST_MAX 255
/* The longest payload of a packet other than DATA. */
#define WISP_PAYLOAD_MAX 16384
/* The stream id that means the connection itself. */
#define WISP_CONNECTION 0

enum wisp_packet_type {
	WISP_CONNECT = 0x01,
	WISP_DATA = 0x02,
	WISP_CONTINUE = 0x03,
	WISP_CLOSE = 0x04,
	WISP_INFO = 0x05,
	/* Of our own extension, wisp-extensions(7): no more DATA comes from this side. */
	WISP_END = 0xf1,
};

enum wisp_stream_type {
	WISP_TCP = 0x01,
	WISP_UDP = 0x02,
};

/* Why a stream or a connection was closed. Servers are loose with these: each is a hint. */
enum wisp_reason {
	WISP_REASON_UNKNOWN = 0x01,
	WISP_REASON_VOLUNTARY = 0x02,
	WISP_REASON_NETWORK_ERROR = 0x03,
	WISP_REASON_INCOMPATIBLE = 0x04,
	WISP_REASON_INVALID = 0x41,
	WISP_REASON_UNREACHABLE = 0x42,
	WISP_REASON_TIMED_OUT = 0x43,
	WISP_REASON_REFUSED = 0x44,
	WISP_REASON_TRANSFER_TIMED_OUT = 0x47,
	WISP_REASON_BLOCKED = 0x48,
	WISP_REASON_THROTTLED = 0x49,
	WISP_REASON_CLIENT_ERROR = 0x81,
	WISP_REASON_BAD_PASSWORD = 0xc0,
	WISP_REASON_BAD_SIGNATURE = 0xc1,
	WISP_REASON_CREDENTIALS_REQUIRED = 0xc2,
};

/* A few words on a reason, such as "connection refused". Unknown codes are "unknown". */
WISP_API const char *wisp_reason_text(uint8_t reason);

/* Where a CONNECT leads. `host` is not terminated. */
struct wisp_destination {
	enum wisp_stream_type type;
	uint16_t port;
	const char *host;
	size_t host_size; /* 1 to WISP_HOST_MAX */
};

/*
 * Write a packet to p and return its size. The caller sees to the room: WISP_PACKET_HEADER_SIZE, and for CONNECT
 * WISP_CONNECT_HEADER_SIZE and the host, for CONTINUE 4 bytes, for CLOSE 1.
 */
WISP_API size_t wisp_packet_header(uint8_t *p, enum wisp_packet_type type, uint32_t stream_id);
WISP_API size_t wisp_packet_connect(uint8_t *p, uint32_t stream_id, const struct wisp_destination *destination);
WISP_API size_t wisp_packet_continue(uint8_t *p, uint32_t stream_id, uint32_t credit);
WISP_API size_t wisp_packet_close(uint8_t *p, uint32_t stream_id, uint8_t reason);

/* A packet, or of a DATA packet the piece that arrived. */
struct wisp_packet {
	enum wisp_packet_type type;
	uint32_t stream_id;
	bool first;    /* DATA: the packet begins with this piece */
	bool last;     /* DATA: it ends with this piece */
	uint8_t *data; /* DATA and INFO: the payload; valid until the input or the decoder changes */
	size_t size;
	struct wisp_destination destination; /* CONNECT; host_size may be out of range, which is the stream's error */
	uint32_t credit;                     /* CONTINUE */
	uint8_t reason;                      /* CLOSE */
};

struct wisp_packet_decoder {
	const char *error;
	size_t gathered; /* bytes of header and payload gathered in `buffer` */
	bool begun;      /* a piece of DATA has been handed out */
	uint8_t buffer[WISP_PACKET_HEADER_SIZE + WISP_PAYLOAD_MAX];
};

enum wisp_packet_result {
	WISP_PACKET_NONE, /* the piece is used up */
	WISP_PACKET_FOUND,
	WISP_PACKET_ERROR, /* decoder->error says why */
};

WISP_API void wisp_packet_decoder_init(struct wisp_packet_decoder *decoder);

/*
 * Take a piece of n bytes of a binary message; `last` says that the message ends with it. FOUND fills in `packet`; each
 * piece holds one packet at the most. DATA is handed through as it comes, everything else whole.
 */
WISP_API enum wisp_packet_result wisp_packet_decode(
	struct wisp_packet_decoder *decoder, uint8_t *p, size_t n, bool last, struct wisp_packet *packet);

#ifdef __cplusplus
}
#endif

#endif
