/* WebSocket frames, right ones that are rare and wrong ones. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error_checks.h"
#include "probe.h"
#include "reply.h"
#include "target.h"

#define STREAM 7
/* The payload that comes in several frames. */
#define PIECES_SIZE 17
#define BIG_SIZE ((size_t)1 << 20)

static void
open_echo(struct checker *checker)
{
	probe_send_connect(
		checker->probe, STREAM, WISP_TCP, checker->targets->host, checker->targets->tcp[TARGET_ECHO]);
}

/*
 * Text that would be DATA, were it not text, for a stream that echoes. Where there is none, nothing shows whether it
 * was taken for that.
 */
void
check_text(struct checker *checker, struct verdict *verdict)
{
	static const char text[] = "\x02\x07\0\0\0text";
	struct probe_event event;

	if (!probe_begin(checker, verdict))
		return;
	if (checker->echoes)
		open_echo(checker);
	probe_send_frame(checker->probe, WISP_OPCODE_TEXT, true, text, sizeof text - 1);
	if (checker->echoes) {
		probe_send_packet(checker->probe, WISP_DATA, STREAM, "binary", 6);
		reply_await(checker, STREAM, &event);
		if (reply_is_packet(&event, WISP_DATA, STREAM) && event.size > 0 && event.payload[0] == 't')
			verdict_warn(verdict, "a packet in a text message is taken like one in a binary one");
	}
	if (!reply_expect_life(checker, verdict, "a text message"))
		verdict_note(verdict, "it ends the connection");
}

/* ---- fragments ---- */

/* The packet that is sent in pieces, and which shows whether it arrived: DATA that is echoed, or a CONNECT to fail. */
static size_t
make_packet(const struct checker *checker, uint8_t packet[64])
{
	const struct wisp_destination nowhere = {WISP_TCP, 0, "wispcheck.invalid", 17};
	size_t n;

	if (!checker->echoes)
		return wisp_packet_connect(packet, STREAM, &nowhere);
	n = wisp_packet_header(packet, WISP_DATA, STREAM);
	for (size_t i = 0; i < PIECES_SIZE; i++)
		packet[n + i] = TARGET_BYTE(i);
	return n + PIECES_SIZE;
}

/* Take as many bytes of an echo. Returns how many were right; `event` is what came last. */
static size_t
take_echo(struct checker *checker, const uint8_t *sent, size_t n, struct probe_event *event)
{
	const uint64_t deadline_ms = clock_now_ms() + 4 * checker->timeout_ms;
	size_t come = 0;

	while (come < n && clock_now_ms() < deadline_ms) {
		reply_await(checker, STREAM, event);
		if (!reply_is_packet(event, WISP_DATA, STREAM) || event->size > n - come ||
			(event->size > 0 && memcmp(event->payload, sent + come, event->size) != 0))
			break;
		come += event->size;
	}
	return come;
}

/* What has come of a packet in several frames, in any order. */
struct harvest {
	bool pong;   /* for the last ping: it may stand for all (RFC 6455 section 5.5.3) */
	size_t come; /* bytes of the echo, or 1 for the CLOSE */
	bool wrong;
};

static void
reap(const struct checker *checker, struct harvest *harvest, const uint8_t *payload, size_t size, size_t last_ping,
	const struct probe_event *event)
{
	if (event->kind == PROBE_PONG) {
		harvest->pong = harvest->pong || (event->size == sizeof last_ping &&
							 memcmp(event->payload, &last_ping, sizeof last_ping) == 0);
	} else if (!checker->echoes && reply_is_packet(event, WISP_CLOSE, STREAM)) {
		harvest->come = size;
	} else if (reply_is_packet(event, WISP_DATA, STREAM)) {
		harvest->wrong = event->size > size - harvest->come ||
				 (event->size > 0 && memcmp(event->payload, payload + harvest->come, event->size) != 0);
		harvest->come += event->size;
	} else {
		harvest->wrong = reply_is_end(event) || event->kind == PROBE_SILENCE ||
				 reply_is_packet(event, WISP_CLOSE, STREAM);
	}
}

/* Wait for the pong to the last of so many pings and for what the packet asked for. Fails the verdict when they do not
 * come. */
static void
gather(struct checker *checker, struct verdict *verdict, const uint8_t *packet, size_t n, size_t pings)
{
	const uint64_t deadline_ms = clock_now_ms() + 2 * checker->timeout_ms;
	const size_t size = n - WISP_PACKET_HEADER_SIZE;
	struct harvest harvest = {0};
	struct probe_event event = {.kind = PROBE_SILENCE};

	while ((harvest.come < size || (pings > 0 && !harvest.pong)) && !harvest.wrong &&
		clock_now_ms() < deadline_ms) {
		probe_next(checker->probe, &event);
		reap(checker, &harvest, packet + WISP_PACKET_HEADER_SIZE, size, pings, &event);
	}
	if (harvest.come < size)
		verdict_fail(verdict, "the packet did not arrive: %s came", probe_describe(&event));
	else if (pings > 0 && !harvest.pong)
		verdict_fail(verdict, "no pong came for a ping between two frames: %s came", probe_describe(&event));
	else if (harvest.wrong)
		verdict_fail(verdict, "%s came behind the packet", probe_describe(&event));
}

/*
 * Send a packet in frames that end at these offsets, the last of them at its end, with a ping, a number from 1 on,
 * between them if wanted. Returns whether it arrived.
 */
static bool
try_fragments(struct checker *checker, struct verdict *verdict, const size_t *ends, size_t count, bool pings)
{
	uint8_t packet[64];
	const size_t n = make_packet(checker, packet);
	size_t sent = 0;

	if (!probe_begin(checker, verdict))
		return false;
	if (checker->echoes)
		open_echo(checker);
	for (size_t i = 0; i <= count; i++) {
		const size_t end = i < count ? ends[i] : n;

		probe_send_frame(checker->probe, i == 0 ? WISP_OPCODE_BINARY : WISP_OPCODE_CONTINUATION, i == count,
			packet + sent, end - sent);
		sent = end;
		if (pings && i < count) {
			const size_t number = i + 1;

			probe_send_frame(checker->probe, WISP_OPCODE_PING, true, &number, sizeof number);
		}
	}
	gather(checker, verdict, packet, n, pings ? count : 0);
	return verdict->outcome != OUTCOME_FAIL;
}

void
check_fragments(struct checker *checker, struct verdict *verdict)
{
	static const size_t halves[] = {10}, thirds[] = {6, 15}, in_header[] = {1, 3}, empty[] = {0, 8, 8};

	if (try_fragments(checker, verdict, halves, 1, false) && try_fragments(checker, verdict, thirds, 2, false) &&
		try_fragments(checker, verdict, in_header, 2, false))
		try_fragments(checker, verdict, empty, 3, false);
	reply_expect_life(checker, verdict, "a packet in several frames");
}

void
check_ping(struct checker *checker, struct verdict *verdict)
{
	static const size_t thirds[] = {6, 15};
	static uint8_t payload[WISP_FRAME_CONTROL_MAX];
	struct probe_event event;

	memset(payload, 'p', sizeof payload);
	if (!probe_begin(checker, verdict))
		return;
	for (size_t n = 0; n <= sizeof payload; n += sizeof payload) {
		probe_send_frame(checker->probe, WISP_OPCODE_PING, true, payload, n);
		if (!reply_await_pong(checker, payload, n, &event)) {
			verdict_fail(verdict, "%s came for a ping of %zu bytes", probe_describe(&event), n);
			return;
		}
	}
	try_fragments(checker, verdict, thirds, 2, true);
	reply_expect_life(checker, verdict, "pings between the frames of a message");
}

/* ---- sizes ---- */

void
check_big_packet(struct checker *checker, struct verdict *verdict)
{
	uint8_t *data = malloc(BIG_SIZE);
	struct probe_event event = {0};
	size_t come;

	if (data == NULL || !probe_begin(checker, verdict)) {
		free(data);
		return;
	}
	for (size_t i = 0; i < BIG_SIZE; i++)
		data[i] = TARGET_BYTE(i);
	open_echo(checker);
	probe_send_packet(checker->probe, WISP_DATA, STREAM, data, BIG_SIZE);
	come = take_echo(checker, data, BIG_SIZE, &event);
	if (come < BIG_SIZE) {
		/* There is no longest packet in the specification: who does not take it may say so. */
		if (event.kind == PROBE_CLOSE)
			verdict_note(verdict, "it ends the connection with status %u", event.status);
		else if (reply_is_packet(&event, WISP_CLOSE, STREAM))
			verdict_warn(verdict, "after %zu bytes, %s came", come, probe_describe(&event));
		else
			verdict_fail(verdict, "after %zu bytes, %s came", come, probe_describe(&event));
	}
	free(data);
	reply_expect_life(checker, verdict, "a packet of 1 MiB");
}

/* ---- frames that end the connection ---- */

void
check_close_frame(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t status[] = {WISP_WS_NORMAL >> 8, WISP_WS_NORMAL & 0xff};
	uint16_t came;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_frame(checker->probe, WISP_OPCODE_CLOSE, true, status, sizeof status);
	if (!reply_await_end(checker, &came))
		verdict_fail(verdict, "the connection stays open");
	else if (came == 0)
		verdict_fail(verdict, "the connection ends without one");
	else if (came != WISP_WS_NORMAL && came != WISP_WS_NO_STATUS)
		verdict_note(verdict, "its status is %u", came);
	reply_expect_service(checker, verdict, "a close frame");
}

/* Send bytes that are no right frame: the server has to end the connection. */
static void
expect_end(struct checker *checker, struct verdict *verdict, const void *p, size_t n, const char *what)
{
	uint16_t status;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_bytes(checker->probe, p, n);
	if (!reply_await_end(checker, &status))
		verdict_fail(verdict, "the connection stays open after %s", what);
	else if (status != 0)
		verdict_note(verdict, "the status is %u", status);
	reply_expect_service(checker, verdict, what);
}

void
check_unmasked(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t frame[] = {0x80 | WISP_OPCODE_BINARY, 6, WISP_DATA, STREAM, 0, 0, 0, 'x'};

	expect_end(checker, verdict, frame, sizeof frame, "an unmasked frame");
}

void
check_reserved_bits(struct checker *checker, struct verdict *verdict)
{
	for (uint8_t bit = 0x40; bit >= 0x10; bit >>= 1) {
		const uint8_t frame[] = {
			0x80 | bit | WISP_OPCODE_BINARY, 0x80 | 6, 0, 0, 0, 0, WISP_DATA, STREAM, 0, 0, 0, 'x'};

		expect_end(checker, verdict, frame, sizeof frame, "a frame with a reserved bit");
	}
}

void
check_unknown_opcode(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t opcodes[] = {0x3, 0xb};

	for (size_t i = 0; i < sizeof opcodes; i++) {
		const uint8_t frame[] = {0x80 | opcodes[i], 0x80, 0, 0, 0, 0};

		expect_end(checker, verdict, frame, sizeof frame, "a frame with an unknown opcode");
	}
}

/* That the sender must not is all that the RFC says, so that a server that goes on is not wrong. */
void
check_long_control(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t payload[WISP_FRAME_CONTROL_MAX + 1];
	struct probe_event event;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_frame(checker->probe, WISP_OPCODE_PING, true, payload, sizeof payload);
	if (reply_await_pong(checker, payload, sizeof payload, &event) || event.kind == PROBE_WRONG)
		verdict_warn(verdict, "it is answered");
	else if (event.kind == PROBE_SILENCE)
		verdict_note(verdict, "it is passed over");
	reply_expect_life(checker, verdict, "a ping of 126 bytes");
}
