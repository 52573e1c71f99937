/* Destinations that cannot be, and packets that are wrong: whatever a client sends, the server has to work on. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "error_checks.h"
#include "probe.h"
#include "reply.h"
#include "target.h"

#define STREAM 7
#define OTHER_STREAM 8
#define NOBODY_PORT 9
/* Names are looked up by servers, which takes its time. */
#define LOOKUP_PATIENCE 3
/* And what does not answer is given up only after some time. */
#define CONNECT_PATIENCE 4
/* A server that answers a packet for no stream does so at once. */
#define ANSWER_MS 200
/* The longest host, with labels of the longest that the DNS has. */
#define LONG_HOST_SIZE 255
#define LABEL_SIZE 63

/* ---- destinations ---- */

/* Send a CONNECT whose stream type and host may be anything. */
static void
send_connect(struct checker *checker, uint8_t type, uint16_t port, const void *host, size_t size)
{
	uint8_t payload[WISP_CONNECT_HEADER_SIZE + WISP_HOST_MAX];

	payload[0] = type;
	store_le16(payload + 1, port);
	memcpy(payload + WISP_CONNECT_HEADER_SIZE, host, size);
	probe_send_packet(checker->probe, WISP_CONNECT, STREAM, payload, WISP_CONNECT_HEADER_SIZE + size);
}

/*
 * The stream has to be closed. Which reason the server gives is its affair, as far as the specification says "could",
 * but one that says that nothing failed is no help to a client.
 */
static void
judge_close(struct verdict *verdict, const struct probe_event *event, enum wisp_reason expected, bool strict)
{
	if (!reply_is_packet(event, WISP_CLOSE, STREAM))
		verdict_fail(verdict, "%s came instead of CLOSE", probe_describe(event));
	else if (event->size < 1)
		verdict_fail(verdict, "a CLOSE without a reason came");
	else if (event->reason == (uint8_t)expected)
		return;
	else if (strict || event->reason == WISP_REASON_VOLUNTARY)
		verdict_warn(verdict, "the reason is 0x%02x (%s), not 0x%02x (%s)", event->reason,
			wisp_reason_text(event->reason), expected, wisp_reason_text((uint8_t)expected));
	else
		verdict_note(verdict, "the reason is 0x%02x (%s)", event->reason, wisp_reason_text(event->reason));
}

static bool
is_timed_out(const struct probe_event *event)
{
	return reply_is_packet(event, WISP_CLOSE, STREAM) && event->reason == WISP_REASON_TIMED_OUT;
}

static void
check_refused(struct checker *checker, struct verdict *verdict)
{
	const struct targets *targets = checker->targets;
	struct probe_event event;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_connect(checker->probe, STREAM, WISP_TCP, targets->host, targets->tcp[TARGET_REFUSING]);
	reply_await(checker, STREAM, &event);
	judge_close(verdict, &event, WISP_REASON_REFUSED, true);
	reply_expect_life(checker, verdict, "a refused connection");
}

static void
check_unresolvable(struct checker *checker, struct verdict *verdict)
{
	struct probe_event event;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_connect(checker->probe, STREAM, WISP_TCP, "wispcheck.invalid", NOBODY_PORT);
	reply_await_within(checker, STREAM, &event, LOOKUP_PATIENCE * checker->timeout_ms);
	if (event.kind == PROBE_SILENCE)
		verdict_warn(
			verdict, "nothing came for %u s", (unsigned)(LOOKUP_PATIENCE * checker->timeout_ms / 1000));
	else
		judge_close(verdict, &event, WISP_REASON_UNREACHABLE, true);
	reply_expect_life(checker, verdict, "a name that does not resolve");
}

/* Only a server that does not reach the targets may be one that blocks them. */
static void
check_blocked(struct checker *checker, struct verdict *verdict)
{
	const struct targets *targets = checker->targets;
	struct probe_event event;

	if (targets == NULL || checker->reaches_targets) {
		verdict_skip(verdict, "no destination is known that the server blocks");
		return;
	}
	if (!probe_begin(checker, verdict))
		return;
	probe_send_connect(checker->probe, STREAM, WISP_TCP, targets->host, targets->tcp[TARGET_ECHO]);
	reply_await(checker, STREAM, &event);
	if (!reply_is_packet(&event, WISP_CLOSE, STREAM))
		verdict_skip(verdict, "%s came from where the targets were expected", probe_describe(&event));
	else if (event.reason != WISP_REASON_BLOCKED && event.reason != WISP_REASON_INVALID)
		verdict_skip(verdict, "the targets are not reached, which may have other causes: reason 0x%02x (%s)",
			event.reason, wisp_reason_text(event.reason));
	else
		verdict_note(verdict, "the reason is 0x%02x (%s)", event.reason, wisp_reason_text(event.reason));
	reply_expect_life(checker, verdict, "a destination that may be blocked");
}

/* On the way to targets elsewhere, a firewall may answer for them; and an older wispcheck there has no such target. */
static void
check_timed_out(struct checker *checker, struct verdict *verdict)
{
	const struct targets *targets = checker->targets;
	const uint64_t patience_ms = CONNECT_PATIENCE * checker->timeout_ms;
	struct probe_event event;

	if (!targets_leave_unanswered(targets)) {
		verdict_skip(verdict, "this system has no destination that does not answer");
		return;
	}
	if (!probe_begin(checker, verdict))
		return;
	probe_send_connect(checker->probe, STREAM, WISP_TCP, targets->host, targets->unanswering);
	reply_await_within(checker, STREAM, &event, patience_ms);
	if (event.kind == PROBE_SILENCE)
		verdict_skip(verdict,
			"the server had not given up after %.0f s; with a longer --timeout we wait longer",
			(double)patience_ms / 1000);
	else if (!targets->own && !is_timed_out(&event))
		verdict_skip(
			verdict, "%s came, for which there may be reasons on the way there", probe_describe(&event));
	else
		judge_close(verdict, &event, WISP_REASON_TIMED_OUT, true);
	reply_expect_life(checker, verdict, "a destination that does not answer");
}

/* A CONNECT with something invalid in it, which must be answered with CLOSE. */
static void
judge_invalid(struct checker *checker, struct verdict *verdict, const char *what)
{
	struct probe_event event;

	/* Were it to lead somewhere after all, this would come back. */
	probe_send_packet(checker->probe, WISP_DATA, STREAM, "x", 1);
	reply_await_within(checker, STREAM, &event, LOOKUP_PATIENCE * checker->timeout_ms);
	judge_close(verdict, &event, WISP_REASON_INVALID, false);
	reply_expect_life(checker, verdict, what);
}

static uint16_t
echo_port(const struct checker *checker)
{
	return checker->targets != NULL ? checker->targets->tcp[TARGET_ECHO] : NOBODY_PORT;
}

static void
check_port_zero(struct checker *checker, struct verdict *verdict)
{
	const char *host = checker->targets != NULL ? checker->targets->host : "wispcheck.invalid";

	if (!probe_begin(checker, verdict))
		return;
	send_connect(checker, WISP_TCP, 0, host, strnlen(host, WISP_HOST_MAX));
	judge_invalid(checker, verdict, "a CONNECT to port 0");
}

/* With the echoing target's port, so that a server that takes "" for itself is seen to. */
static void
check_empty_host(struct checker *checker, struct verdict *verdict)
{
	if (!probe_begin(checker, verdict))
		return;
	send_connect(checker, WISP_TCP, echo_port(checker), "", 0);
	judge_invalid(checker, verdict, "a CONNECT to an empty host");
}

static void
check_long_host(struct checker *checker, struct verdict *verdict)
{
	static const char end[] = ".invalid";
	char host[LONG_HOST_SIZE];

	for (size_t i = 0; i < sizeof host; i++)
		host[i] = i % (LABEL_SIZE + 1) == LABEL_SIZE ? '.' : 'w';
	memcpy(host + sizeof host - (sizeof end - 1), end, sizeof end - 1);
	if (!probe_begin(checker, verdict))
		return;
	send_connect(checker, WISP_TCP, NOBODY_PORT, host, sizeof host);
	judge_invalid(checker, verdict, "a CONNECT to a host of 255 bytes");
}

static void
check_bad_utf8(struct checker *checker, struct verdict *verdict)
{
	static const char host[] = "wisp\xff\xc0\x80\xed\xa0\x80.invalid";

	if (!probe_begin(checker, verdict))
		return;
	send_connect(checker, WISP_TCP, NOBODY_PORT, host, sizeof host - 1);
	judge_invalid(checker, verdict, "a CONNECT to a host that is not UTF-8");
}

/* With the ports of targets of both types, so that a server that takes it for one of them is seen to. */
static void
check_stream_type(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t types[] = {0, 3, 255};
	const struct targets *targets = checker->targets;
	const char *host = targets != NULL ? targets->host : "wispcheck.invalid";

	for (size_t i = 0; i < sizeof types && verdict->outcome != OUTCOME_FAIL; i++) {
		const uint16_t port = targets != NULL && i % 2 == 0 ? targets->udp_echo : echo_port(checker);
		char what[50];

		if (!probe_begin(checker, verdict))
			return;
		snprintf(what, sizeof what, "a CONNECT of stream type %u", types[i]);
		send_connect(checker, types[i], port, host, strnlen(host, WISP_HOST_MAX));
		judge_invalid(checker, verdict, what);
	}
}

/* ---- packets ---- */

/* Something is to be ignored, or to end the connection: the specification does not say. */
static void
judge_leniently(struct checker *checker, struct verdict *verdict, const char *what)
{
	if (!reply_expect_life(checker, verdict, what) && verdict->came[0] == '\0')
		verdict_note(verdict, "%s ends the connection", what);
}

static void
check_short_packets(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t packet[] = {WISP_DATA, STREAM, 0, 0};

	for (size_t n = 1; n <= sizeof packet; n++) {
		char what[40];

		if (!probe_begin(checker, verdict))
			return;
		snprintf(what, sizeof what, "a message of %zu bytes", n);
		probe_send_frame(checker->probe, WISP_OPCODE_BINARY, true, packet, n);
		judge_leniently(checker, verdict, what);
	}
}

static void
check_empty_message(struct checker *checker, struct verdict *verdict)
{
	if (!probe_begin(checker, verdict))
		return;
	probe_send_frame(checker->probe, WISP_OPCODE_BINARY, true, NULL, 0);
	judge_leniently(checker, verdict, "an empty message");
}

/* Packets whose payload is shorter than their type's. */
static void
check_short_payloads(struct checker *checker, struct verdict *verdict)
{
	static const struct {
		const char *what;
		uint8_t type;
		size_t size;
	} cases[] = {
		{"a CONNECT without a payload", WISP_CONNECT, 0},
		{"a CONNECT with half a port", WISP_CONNECT, 2},
		{"a CLOSE without a reason", WISP_CLOSE, 0},
		{"a CONTINUE without a number", WISP_CONTINUE, 0},
	};
	static const uint8_t payload[] = {WISP_TCP, 0};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (!probe_begin(checker, verdict))
			return;
		probe_send_packet(checker->probe, cases[i].type, STREAM, payload, cases[i].size);
		judge_leniently(checker, verdict, cases[i].what);
	}
}

static void
check_unknown_types(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t types[] = {0, 6, 0x7f, 0xff};

	for (size_t i = 0; i < sizeof types; i++) {
		char what[40];

		if (!probe_begin(checker, verdict))
			return;
		snprintf(what, sizeof what, "a packet of type 0x%02x", types[i]);
		probe_send_packet(checker->probe, types[i], STREAM, "what?", 5);
		judge_leniently(checker, verdict, what);
	}
}

/*
 * DATA and CLOSE may have crossed the server's CLOSE: a server that ends the connection then ends it for right clients.
 * Nor is a CLOSE to be answered with one. (After DATA, it tells the client what that may not know.)
 */
static void
check_unknown_streams(struct checker *checker, struct verdict *verdict)
{
	struct probe_event event;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_packet(checker->probe, WISP_DATA, STREAM, "late", 4);
	probe_send_close(checker->probe, OTHER_STREAM, WISP_REASON_VOLUNTARY);
	probe_send_close(checker->probe, OTHER_STREAM, WISP_REASON_VOLUNTARY);
	reply_await_within(checker, OTHER_STREAM, &event, ANSWER_MS);
	if (reply_is_packet(&event, WISP_CLOSE, OTHER_STREAM))
		verdict_warn(verdict, "CLOSE is answered with CLOSE, which has no end when the client does the same");
	if (!reply_expect_life(checker, verdict, "DATA and CLOSE of a stream that is not open"))
		verdict_fail(verdict, "DATA and CLOSE of a stream that is not open end the connection");
}

static void
check_client_continue(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t credit[4] = {1};

	if (!probe_begin(checker, verdict))
		return;
	probe_send_packet(checker->probe, WISP_CONTINUE, STREAM, credit, sizeof credit);
	judge_leniently(checker, verdict, "a CONTINUE from the client");
}

static void
check_late_info(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t info[] = {2, 0};

	if (!probe_begin(checker, verdict))
		return;
	probe_send_packet(checker->probe, WISP_INFO, WISP_CONNECTION, info, sizeof info);
	judge_leniently(checker, verdict, "a second INFO");
}

/* ---- the table ---- */

const struct check error_checks[] = {
	{"errors/refused", "Wisp: Client/Server Close Reasons",
		"a stream whose destination refuses is closed with reason 0x44", NEEDS_TARGETS, check_refused},
	{"errors/unresolvable", "Wisp: Client/Server Close Reasons",
		"a stream to a name that does not resolve is closed with reason 0x42", 0, check_unresolvable},
	{"errors/blocked", "Wisp: Client/Server Close Reasons",
		"a stream to a blocked destination is closed with reason 0x48 or 0x41", 0, check_blocked},
	{"errors/timed-out", "Wisp: Client/Server Close Reasons",
		"a stream whose destination does not answer is closed with reason 0x43", NEEDS_TARGETS,
		check_timed_out},
	{"errors/port-zero", "Wisp: Packet Types, CONNECT", "a CONNECT to port 0 is answered with CLOSE", 0,
		check_port_zero},
	{"errors/empty-host", "Wisp: Packet Types, CONNECT", "a CONNECT to an empty host is answered with CLOSE", 0,
		check_empty_host},
	{"errors/long-host", "Wisp: Packet Types, CONNECT",
		"a CONNECT to a host of 255 bytes that does not exist is answered with CLOSE", 0, check_long_host},
	{"errors/host-not-utf8", "Wisp: Packet Types, CONNECT",
		"a CONNECT to a host that is not UTF-8 is answered with CLOSE", 0, check_bad_utf8},
	{"errors/stream-type", "Wisp: Packet Types, CONNECT",
		"a CONNECT of an unknown stream type is answered with CLOSE", 0, check_stream_type},
	{"errors/short-packet", "Wisp: Packet format", "messages of 1 to 4 bytes do no harm", 0, check_short_packets},
	{"errors/empty-message", "Wisp: Packet format", "an empty message does no harm", 0, check_empty_message},
	{"errors/short-payload", "Wisp: Packet Types", "packets that end too early do no harm", 0,
		check_short_payloads},
	{"errors/unknown-type", "Wisp: Packet Types", "packets of unknown types do no harm", 0, check_unknown_types},
	{"errors/unknown-stream", "Wisp: Packet Types, CLOSE",
		"DATA and CLOSE of a stream that is over, which may have crossed its CLOSE, are passed over", 0,
		check_unknown_streams},
	{"errors/client-continue", "Wisp: Packet Types, CONTINUE", "a CONTINUE from the client does no harm", 0,
		check_client_continue},
	{"errors/second-info", "Wisp v2: Handshake Steps", "an INFO after the handshake does no harm", 0,
		check_late_info},
	{"errors/text", "Wisp: Packet format", "a text message does no harm, and is no packet", 0, check_text},
	{"errors/fragments", "RFC 6455 section 5.4", "a packet that comes in several frames is put together", 0,
		check_fragments},
	{"errors/ping", "RFC 6455 sections 5.4 and 5.5",
		"a ping is answered with its payload, also between the frames of a message", 0, check_ping},
	{"errors/big-packet", "Wisp: Packet Types, DATA",
		"a packet of 1 MiB is echoed, or ends the connection with a close frame", NEEDS_TARGETS,
		check_big_packet},
	{"errors/close-frame", "RFC 6455 section 5.5.1", "a close frame is answered with one", 0, check_close_frame},
	{"errors/unmasked-frame", "RFC 6455 section 5.1", "a frame that is not masked ends the connection", 0,
		check_unmasked},
	{"errors/reserved-bits", "RFC 6455 section 5.2", "a frame with a reserved bit ends the connection", 0,
		check_reserved_bits},
	{"errors/unknown-opcode", "RFC 6455 section 5.2", "a frame with an unknown opcode ends the connection", 0,
		check_unknown_opcode},
	{"errors/long-control-frame", "RFC 6455 section 5.5", "a ping of 126 bytes is not answered", 0,
		check_long_control},
	{0},
};
