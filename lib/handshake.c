#include <wisp/handshake.h>

#include <string.h>

#include "bytes.h"

#define INFO_HEADER_SIZE 2
#define MAJOR 2
#define MINOR 0

bool
wisp_extension_next(const uint8_t **p, size_t *n, struct wisp_extension *extension)
{
	uint32_t size;

	if (*n < WISP_EXTENSION_HEADER_SIZE)
		return false;
	size = load_le32(*p + 1);
	if (size > *n - WISP_EXTENSION_HEADER_SIZE)
		return false;
	extension->id = (*p)[0];
	extension->data = *p + WISP_EXTENSION_HEADER_SIZE;
	extension->size = size;
	*p += WISP_EXTENSION_HEADER_SIZE + size;
	*n -= WISP_EXTENSION_HEADER_SIZE + size;
	return true;
}

size_t
wisp_extension_write(uint8_t *p, const struct wisp_extension *extension)
{
	p[0] = extension->id;
	store_le32(p + 1, (uint32_t)extension->size);
	if (extension->size > 0)
		memcpy(p + WISP_EXTENSION_HEADER_SIZE, extension->data, extension->size);
	return WISP_EXTENSION_HEADER_SIZE + extension->size;
}

void
wisp_handshake_init_client(struct wisp_handshake *handshake, enum wisp_versions versions)
{
	memset(handshake, 0, sizeof *handshake);
	handshake->state = WISP_HANDSHAKE_FIRST;
	handshake->versions = versions;
}

void
wisp_handshake_init_server(struct wisp_handshake *handshake, uint8_t version, uint32_t credit)
{
	memset(handshake, 0, sizeof *handshake);
	handshake->server = true;
	handshake->version = version;
	handshake->credit = credit;
	handshake->send_info = version >= MAJOR;
	handshake->send_credit = version < MAJOR;
	handshake->state = version < MAJOR ? WISP_HANDSHAKE_DONE : WISP_HANDSHAKE_INFO;
}

static void
fail(struct wisp_handshake *handshake, const char *error)
{
	handshake->state = WISP_HANDSHAKE_FAILED;
	handshake->error = error;
}

/* Read the other side's INFO. Extensions that we do not know are not ours to judge. */
static void
receive_info(struct wisp_handshake *handshake, const struct wisp_packet *packet)
{
	const uint8_t *p = packet->data;
	size_t n = packet->size;
	struct wisp_extension extension;

	if (n < INFO_HEADER_SIZE) {
		fail(handshake, "an INFO packet is too short");
		return;
	}
	if (p[0] < MAJOR) {
		fail(handshake, "an INFO packet names a version below 2");
		return;
	}
	p += INFO_HEADER_SIZE;
	n -= INFO_HEADER_SIZE;
	while (wisp_extension_next(&p, &n, &extension))
		;
	if (n != 0) {
		fail(handshake, "an INFO packet has an extension that runs over its end");
		return;
	}
	handshake->version = MAJOR;
	if (handshake->server) {
		handshake->send_credit = true;
		handshake->state = WISP_HANDSHAKE_DONE;
	} else {
		handshake->send_info = true;
		handshake->state = WISP_HANDSHAKE_CREDIT;
	}
}

static void
receive_credit(struct wisp_handshake *handshake, const struct wisp_packet *packet)
{
	handshake->credit = packet->credit;
	if (handshake->state == WISP_HANDSHAKE_FIRST)
		handshake->version = 1;
	if (handshake->version == 1 && handshake->versions == WISP_VERSION_2)
		fail(handshake, "the server speaks only Wisp v1 (--wisp 2 was asked for)");
	else
		handshake->state = WISP_HANDSHAKE_DONE;
}

void
wisp_handshake_receive(struct wisp_handshake *handshake, const struct wisp_packet *packet)
{
	const enum wisp_handshake_state state = handshake->state;

	if (packet->stream_id != WISP_CONNECTION) {
		fail(handshake, "a stream's packet came before the end of the handshake");
		return;
	}
	if (packet->type == WISP_CLOSE) {
		handshake->reason = packet->reason != 0 ? packet->reason : WISP_REASON_UNKNOWN;
		fail(handshake, "the other side refused the connection");
	} else if (packet->type == WISP_INFO && (state == WISP_HANDSHAKE_FIRST || state == WISP_HANDSHAKE_INFO)) {
		if (handshake->versions == WISP_VERSION_1)
			fail(handshake, "the server speaks Wisp v2 although --wisp 1 was asked for");
		else
			receive_info(handshake, packet);
	} else if (packet->type == WISP_CONTINUE && !handshake->server) {
		receive_credit(handshake, packet);
	} else {
		fail(handshake, "a packet came that has no place in the handshake");
	}
}

static size_t
write_info(uint8_t *p)
{
	size_t n = wisp_packet_header(p, WISP_INFO, WISP_CONNECTION);

	p[n++] = MAJOR;
	p[n++] = MINOR;
	return n;
}

size_t
wisp_handshake_send(struct wisp_handshake *handshake, uint8_t p[WISP_HANDSHAKE_PACKET_MAX])
{
	if (handshake->send_info) {
		handshake->send_info = false;
		return write_info(p);
	}
	if (handshake->send_credit) {
		handshake->send_credit = false;
		return wisp_packet_continue(p, WISP_CONNECTION, handshake->credit);
	}
	return 0;
}
