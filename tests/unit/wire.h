/* Reads what one end of a connection sends, and writes it down as text: a line for each packet or control frame. */
#ifndef WIRE_H
#define WIRE_H

#include <wisp/frame.h>
#include <wisp/packet.h>

#include "support.h"

struct wire {
	struct wisp_frame_decoder frames;
	struct wisp_packet_decoder packets;
	struct buffer log;
	struct buffer data; /* of the DATA packet under way */
	bool failed;
	/* May be NULL. Is given each packet, DATA with all of its payload. */
	void (*packet)(void *arg, const struct wisp_packet *packet);
	void *arg;
};

/* `masked`: it is a client that sends. */
void wire_init(struct wire *wire, bool masked);
void wire_free(struct wire *wire);

/* Take bytes that were sent; they are left as they are. An error is in the log, and in `failed`. */
void wire_take(struct wire *wire, const uint8_t *p, size_t n);

/*
 * Append a packet as text: "CONNECT 1 tcp host 80", "DATA 1 (text)" or, when it is longer than 40 bytes, "DATA 1
 * [size]", "CONTINUE 1 128", "CLOSE 1 0x02", "END-OF-DATA 1", "INFO 0 (\x02\x00)".
 */
void wire_log_packet(struct buffer *log, const struct wisp_packet *packet);

#endif
