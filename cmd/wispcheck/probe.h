/*
 * The tester's end of a WebSocket to the server under test: it sends what it is told to, right or wrong, and hands out
 * what comes, frame by frame. Calls wait, by running the event loop, for the checker's time-out at the most. There is
 * one connection at a time.
 *
 * Nothing that a server sends can hurt: messages over PROBE_MESSAGE_MAX, and frames that break RFC 6455, end the
 * connection with PROBE_WRONG.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/frame.h>
#include <wisp/packet.h>

#include "check.h"

/* The longest message that is taken from a server. */
#define PROBE_MESSAGE_MAX (4 << 20)
/* What may wait to be sent. */
#define PROBE_SEND_MAX (64 << 20)

/* Set up the probe of a checker. NULL when that cannot be: logged. */
struct probe *probe_new(struct checker *checker);
void probe_free(struct probe *probe);

/*
 * End the connection, and let the next ones be to this server, which must stay: at first it is the first of the
 * options'.
 */
void probe_aim(struct probe *probe, const struct url *server);

/* How to open a WebSocket. */
struct probe_opening {
	bool offers_v2;   /* with "Sec-WebSocket-Protocol: wisp-v2" */
	const char *path; /* NULL for the URL's */
	bool plain;       /* ask for no WebSocket, and follow no redirect: only probe_status() is of use then */
};

/*
 * Open a WebSocket, after closing the one before. Returns false when there is none: probe_failure() says why, and
 * probe_status() what HTTP status came, if any. Nothing of Wisp has been read or sent then.
 */
bool probe_open(struct probe *probe, const struct probe_opening *opening);

/* Why the last probe_open() or probe_greet() failed, in words, without a final full stop; "" when it did not. */
const char *probe_failure(const struct probe *probe);

/* The HTTP status of the last answer; 0 when there was none. */
unsigned probe_status(const struct probe *probe);

/* Whether the server has named the subprotocol that it was offered. */
bool probe_chose_subprotocol(const struct probe *probe);

/*
 * Shake hands in the version that was offered, with the credentials and options that were given, and keep what was
 * agreed in probe_handshake(). Returns false when that fails: probe_failure() says why.
 */
bool probe_greet(struct probe *probe);
const struct wisp_handshake *probe_handshake(const struct probe *probe);

/* Whether the last probe_greet() failed because the server wants other credentials than it was shown. */
bool probe_is_kept_out(const struct probe *probe);

/*
 * Open and greet in the server's best version: what most checks begin with. Fails the verdict when it cannot be, and
 * skips the check when the server is known not to let us in.
 */
bool probe_begin(struct checker *checker, struct verdict *verdict);

/* End the connection at once. */
void probe_close(struct probe *probe);

/* ---- sending ---- */

/* Send bytes as they are. */
void probe_send_bytes(struct probe *probe, const void *p, size_t n);

/* Send a frame, masked, with n bytes of payload, its final one of a message or not. */
void probe_send_frame(struct probe *probe, enum wisp_opcode opcode, bool fin, const void *p, size_t n);

/* Send a binary message that holds a packet of any type, with n bytes of payload. */
void probe_send_packet(struct probe *probe, uint8_t type, uint32_t stream, const void *p, size_t n);

void probe_send_connect(
	struct probe *probe, uint32_t stream, enum wisp_stream_type type, const char *host, uint16_t port);
void probe_send_close(struct probe *probe, uint32_t stream, uint8_t reason);

/* Let what is sent wait, so that it leaves together: until it is released, or a connection is opened. */
void probe_hold(struct probe *probe);
void probe_release(struct probe *probe);

/* Whether everything has left. */
bool probe_is_flushed(const struct probe *probe);

/* ---- receiving ---- */

enum probe_event_kind {
	PROBE_PACKET, /* a binary message; shorter than a packet's header when `type` is 0 */
	PROBE_TEXT,   /* a text message */
	PROBE_PING,   /* answered by the probe already */
	PROBE_PONG,
	PROBE_CLOSE,   /* a close frame */
	PROBE_END,     /* the connection is over */
	PROBE_WRONG,   /* the server broke RFC 6455, or a bound; `text` says how. The connection is over */
	PROBE_SILENCE, /* nothing came in time */
};

struct probe_event {
	enum probe_event_kind kind;
	uint8_t type;     /* PACKET */
	uint32_t stream;  /* PACKET */
	uint8_t *payload; /* PACKET: behind the header; valid until the next call */
	size_t size;
	uint32_t credit;  /* PACKET: a CONTINUE's; 0 when it is too short */
	uint8_t reason;   /* PACKET: a CLOSE's; 0 when it is too short */
	uint16_t status;  /* CLOSE: the WebSocket's status */
	const char *text; /* WRONG, END: how */
};

/* The next event, within the checker's time-out or, for the second, within so many milliseconds. */
void probe_next(struct probe *probe, struct probe_event *event);
void probe_next_within(struct probe *probe, struct probe_event *event, uint64_t ms);

/*
 * The same for those who have more to send meanwhile: it waits until something happens, and that may as well be that
 * what waited has left. Then, and when nothing happens in time, it is PROBE_SILENCE. 0 ms is for not waiting at all.
 */
void probe_next_turn(struct probe *probe, struct probe_event *event, uint64_t ms);

/* Let the targets and the sockets work for so long, without taking anything from the server. */
void probe_idle(struct probe *probe, uint64_t ms);

/* An event in words, such as "CLOSE of stream 3, reason 0x41 (invalid destination)": for verdicts. Static memory. */
const char *probe_describe(const struct probe_event *event);

/* Whether the connection still stands, as far as is known. */
bool probe_is_open(const struct probe *probe);

#endif
