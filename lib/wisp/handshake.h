/*
 * How a Wisp connection begins (Wisp v2 specification, "Handshake Steps"): in v1 the server's CONTINUE on stream 0, in
 * v2 INFO from both sides before it.
 */
#ifndef WISP_HANDSHAKE_H
#define WISP_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>
#include <wisp/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_EXTENSION_HEADER_SIZE 5

enum wisp_extension_id {
	WISP_EXTENSION_UDP = 0x01,
	WISP_EXTENSION_PASSWORD = 0x02,
	WISP_EXTENSION_KEY = 0x03,
	WISP_EXTENSION_MOTD = 0x04,
	WISP_EXTENSION_OPEN_CONFIRMATION = 0x05,
};

/* One entry of INFO's extension data. */
struct wisp_extension {
	uint8_t id;
	const uint8_t *data;
	size_t size;
};

/*
 * Take the next extension from the *n bytes at *p and move both on. Returns false when there is none left; *n is then
 * 0, or, when an entry runs over the end, what could not be read.
 */
WISP_API bool wisp_extension_next(const uint8_t **p, size_t *n, struct wisp_extension *extension);

/* Append an extension at p. Returns its size, which is WISP_EXTENSION_HEADER_SIZE and that of its data. */
WISP_API size_t wisp_extension_write(uint8_t *p, const struct wisp_extension *extension);

/* Which protocol versions a side speaks. */
enum wisp_versions {
	WISP_VERSION_1 = 1,
	WISP_VERSION_2 = 2,
	WISP_VERSION_AUTO = 0, /* client: asks for 2 and takes 1 */
};

enum wisp_handshake_state {
	WISP_HANDSHAKE_FIRST,  /* client: waits for the server's first packet */
	WISP_HANDSHAKE_INFO,   /* server: waits for the client's INFO */
	WISP_HANDSHAKE_CREDIT, /* client: sent its INFO, waits for the verdict */
	WISP_HANDSHAKE_DONE,
	WISP_HANDSHAKE_FAILED,
};

struct wisp_handshake {
	enum wisp_handshake_state state;
	bool server;
	bool send_info;
	bool send_credit;
	enum wisp_versions versions;
	uint8_t version; /* agreed: 1 or 2; valid when DONE */
	uint32_t credit; /* what every TCP stream starts with; valid when DONE */
	uint8_t reason;  /* FAILED: the reason in the other side's CLOSE, or 0 */
	const char *error;
};

WISP_API void wisp_handshake_init_client(struct wisp_handshake *handshake, enum wisp_versions versions);

/* `version` is 1 for a client that sent no Sec-WebSocket-Protocol, whatever the server speaks. */
WISP_API void wisp_handshake_init_server(struct wisp_handshake *handshake, uint8_t version, uint32_t credit);

/* Take a packet that arrived before the handshake was DONE. Look at the state afterwards. */
WISP_API void wisp_handshake_receive(struct wisp_handshake *handshake, const struct wisp_packet *packet);

/* The longest packet that wisp_handshake_send() writes. */
#define WISP_HANDSHAKE_PACKET_MAX 256

/* Write the next packet that the handshake has to send to p. Returns its size, 0 when there is none. */
WISP_API size_t wisp_handshake_send(struct wisp_handshake *handshake, uint8_t p[WISP_HANDSHAKE_PACKET_MAX]);

#ifdef __cplusplus
}
#endif

#endif
