/*
 * The group "streams": what a TCP stream carries, how many there can be, what their ids may be, and how they end. Every
 * check begins with a connection of its own.
 */
#include <stdio.h>

#include <openssl/rand.h>

#include "check.h"
#include "clock.h"
#include "exchange.h"
#include "probe.h"
#include "reply.h"
#include "stream_checks.h"

#define DATA_SECTION "Wisp: Packet Types, DATA"
#define CONNECT_SECTION "Wisp: Packet Types, CONNECT"
#define CLOSE_SECTION "Wisp: Packet Types, CLOSE"
#define FORMAT_SECTION "Wisp: Packet Format"

/* In what packets an echo is tried, at most. */
#define SIZES_MAX 4
#define MANY_STREAMS 256
/* When nothing has come for so long, nothing is on its way any more. */
#define QUIET_MS 200

/* ---- echo ---- */

/* Have so many bytes echoed in packets of each of these sizes, up to a 0, each time on a stream of its own. */
static void
echo(struct checker *checker, struct verdict *verdict, uint64_t bytes, const size_t sizes[SIZES_MAX])
{
	struct exchange_stream streams[SIZES_MAX];
	struct exchange exchange;

	for (size_t i = 0; i < SIZES_MAX; i++)
		streams[i] = (struct exchange_stream){.id = (uint32_t)i + 1, .seed = (uint32_t)i, .to_send = bytes};
	if (!exchange_begin(&exchange, checker, streams, SIZES_MAX, verdict))
		return;
	for (size_t i = 0; i < SIZES_MAX && sizes[i] > 0; i++) {
		streams[i].packet_bytes = sizes[i];
		exchange_connect(&exchange, &streams[i]);
		if (!exchange_run(&exchange)) {
			verdict_fail(verdict, "in packets of %zu: %s", sizes[i], exchange.fault);
			return;
		}
		exchange_close(&exchange, &streams[i]);
	}
}

static void
run_echo_0(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 1, .to_send = 1, .packet_bytes = 1};
	struct exchange exchange;

	if (!exchange_begin(&exchange, checker, &stream, 1, verdict))
		return;
	exchange_connect(&exchange, &stream);
	probe_send_packet(checker->probe, WISP_DATA, stream.id, NULL, 0);
	stream.credit--;
	if (!exchange_run(&exchange))
		verdict_fail(verdict, "behind an empty DATA packet: %s", exchange.fault);
}

static void
run_echo_1(struct checker *checker, struct verdict *verdict)
{
	echo(checker, verdict, 1, (const size_t[SIZES_MAX]){1});
}

/* A frame's length takes more bytes from 126 on, and again from 65,536: with the header of the packet, or without. */
static void
run_echo_125(struct checker *checker, struct verdict *verdict)
{
	echo(checker, verdict, 125, (const size_t[SIZES_MAX]){125, 120, 1});
}

static void
run_echo_126(struct checker *checker, struct verdict *verdict)
{
	echo(checker, verdict, 126, (const size_t[SIZES_MAX]){126, 121, 1});
}

static void
run_echo_65535(struct checker *checker, struct verdict *verdict)
{
	echo(checker, verdict, 65535, (const size_t[SIZES_MAX]){65535, 65530, 4096, 100});
}

static void
run_echo_65536(struct checker *checker, struct verdict *verdict)
{
	echo(checker, verdict, 65536, (const size_t[SIZES_MAX]){65536, 65531, 1000, 100});
}

static void
run_echo_16m(struct checker *checker, struct verdict *verdict)
{
	echo(checker, verdict, 16 << 20, (const size_t[SIZES_MAX]){65530, 16384, 1400});
}

static void
run_optimistic(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 1};
	struct exchange exchange;

	if (!exchange_begin(&exchange, checker, &stream, 1, verdict))
		return;
	/* As many packets as the initial credit allows: of 1, 2, 3 bytes, and so on. */
	stream.to_send = checker->credit < 1000 ? checker->credit * (checker->credit + UINT64_C(1)) / 2 : 500500;
	exchange_connect(&exchange, &stream);
	if (!exchange_run(&exchange))
		verdict_fail(verdict, "%s", exchange.fault);
}

/* ---- many ---- */

static void
at_once(struct checker *checker, struct verdict *verdict, size_t count, uint64_t bytes)
{
	static struct exchange_stream streams[MANY_STREAMS];
	struct exchange exchange;
	size_t throttled = 0;

	for (size_t i = 0; i < count; i++)
		streams[i] = (struct exchange_stream){
			.id = (uint32_t)(i * 7 + 1),
			.seed = (uint32_t)i,
			.packet_bytes = 1000 + i,
			.to_send = bytes,
		};
	if (!exchange_begin(&exchange, checker, streams, count, verdict))
		return;
	for (size_t i = 0; i < count; i++)
		exchange_connect(&exchange, &streams[i]);
	if (exchange_run(&exchange))
		return;
	for (size_t i = 0; i < count; i++)
		throttled += streams[i].closed && streams[i].reason == WISP_REASON_THROTTLED;
	if (throttled > 0)
		verdict_warn(verdict, "the server does not want so many: %s", exchange.fault);
	else
		verdict_fail(verdict, "%s", exchange.fault);
}

static void
run_at_once_1(struct checker *checker, struct verdict *verdict)
{
	at_once(checker, verdict, 1, 1 << 20);
}

static void
run_at_once_10(struct checker *checker, struct verdict *verdict)
{
	at_once(checker, verdict, 10, 256 << 10);
}

static void
run_at_once_256(struct checker *checker, struct verdict *verdict)
{
	at_once(checker, verdict, MANY_STREAMS, 64 << 10);
}

/* ---- ids ---- */

#define IDS 16

/* Echo on streams with these ids, at once. */
static void
echo_on_ids(struct checker *checker, struct verdict *verdict, const uint32_t *ids, size_t count)
{
	struct exchange_stream streams[IDS];
	struct exchange exchange;

	for (size_t i = 0; i < count; i++)
		streams[i] = (struct exchange_stream){.id = ids[i], .seed = (uint32_t)i, .to_send = 5000};
	if (!exchange_begin(&exchange, checker, streams, count, verdict))
		return;
	for (size_t i = 0; i < count; i++)
		exchange_connect(&exchange, &streams[i]);
	if (!exchange_run(&exchange))
		verdict_fail(verdict, "%s", exchange.fault);
}

static void
run_ids_sequential(struct checker *checker, struct verdict *verdict)
{
	uint32_t ids[IDS];

	for (uint32_t i = 0; i < IDS; i++)
		ids[i] = i + 1;
	echo_on_ids(checker, verdict, ids, IDS);
}

static void
run_ids_random(struct checker *checker, struct verdict *verdict)
{
	uint32_t ids[IDS];

	if (RAND_bytes((unsigned char *)ids, sizeof ids) != 1) {
		verdict_skip(verdict, "there is no randomness to be had");
		return;
	}
	for (uint32_t i = 0; i < IDS; i++)
		ids[i] = (ids[i] & ~(uint32_t)0xf) | (i != 0 ? i : IDS); /* all different, and none is 0 */
	echo_on_ids(checker, verdict, ids, IDS);
}

static void
run_ids_highest(struct checker *checker, struct verdict *verdict)
{
	/* Each of these looks like another one to a server that takes too few bits, or a sign. */
	const uint32_t ids[] = {0xffffffff, 0x7fffffff, 0x80000000, 0xffff, 0x10000, 0xff, 0x100, 0xff000000};

	echo_on_ids(checker, verdict, ids, sizeof ids / sizeof *ids);
}

/* Let what is still on its way for closed streams come, so that it cannot be taken for another stream's. */
static bool
wait_until_quiet(struct exchange *exchange, struct verdict *verdict)
{
	const uint64_t end_ms = clock_now_ms() + exchange->checker->timeout_ms;
	enum exchange_result result;

	do
		result = exchange_step(exchange, QUIET_MS);
	while (result == EXCHANGE_MOVED && clock_now_ms() < end_ms);
	if (result == EXCHANGE_FAULT)
		verdict_fail(verdict, "%s", exchange->fault);
	return result != EXCHANGE_FAULT;
}

static void
run_id_after_close(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 0x1234, .to_send = 5000};
	struct exchange exchange;

	if (!exchange_begin(&exchange, checker, &stream, 1, verdict))
		return;
	for (stream.seed = 1; stream.seed <= 3; stream.seed++) {
		exchange_connect(&exchange, &stream);
		if (!exchange_run(&exchange)) {
			verdict_fail(verdict, "use %u of the id: %s", stream.seed, exchange.fault);
			return;
		}
		exchange_close(&exchange, &stream);
		if (!wait_until_quiet(&exchange, verdict))
			return;
	}
}

static void
run_id_after_end(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 0x1234, .kind = TARGET_SOURCE, .to_receive = 5000};
	struct exchange exchange;

	if (!exchange_begin(&exchange, checker, &stream, 1, verdict))
		return;
	for (int use = 1; use <= 3; use++) {
		exchange_connect(&exchange, &stream);
		if (!exchange_run(&exchange)) {
			verdict_fail(verdict, "use %d of the id: %s", use, exchange.fault);
			return;
		}
		if (!wait_until_quiet(&exchange, verdict))
			return;
	}
}

/* Whether a stream whose id was used twice still is what it was. */
static void
goes_on(struct exchange *exchange, struct exchange_stream *stream, struct verdict *verdict)
{
	stream->to_send = stream->to_receive = 10000;
	if (exchange_run(exchange))
		return;
	if (stream->closed)
		verdict_note(verdict, "the stream was closed, reason 0x%02x", stream->reason);
	else if (probe_is_open(exchange->checker->probe))
		verdict_warn(
			verdict, "the id went over to the second stream, and the first is lost: %s", exchange->fault);
	else
		verdict_warn(verdict, "all streams have to pay for it: %s", exchange->fault);
}

static void
run_id_twice(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 0x1234, .to_send = 5000};
	struct exchange exchange;
	struct probe_event event;

	if (!exchange_begin_with(&exchange, checker, &stream, verdict))
		return;
	probe_send_connect(
		checker->probe, stream.id, WISP_TCP, checker->targets->host, checker->targets->tcp[TARGET_TELLING]);
	/* What the server makes of that comes first, and then whether the first stream still works. */
	do
		probe_next_within(checker->probe, &event, QUIET_MS);
	while (event.kind == PROBE_PING || event.kind == PROBE_PONG ||
		(event.kind == PROBE_PACKET && event.type == WISP_CONTINUE));
	if (event.kind == PROBE_PACKET && event.type == WISP_CLOSE && event.stream == stream.id)
		verdict_note(verdict, "%s came", probe_describe(&event));
	else if (event.kind == PROBE_CLOSE && event.status == WISP_WS_PROTOCOL_ERROR)
		verdict_note(verdict, "the server ended the connection, status %u", event.status);
	else if (event.kind != PROBE_SILENCE)
		verdict_warn(verdict, "%s came", probe_describe(&event));
	else
		goes_on(&exchange, &stream, verdict);
	reply_expect_service(checker, verdict, "that");
}

/* ---- stream 0 ---- */

/* See what comes of a packet of stream 0 that does not belong there: the server may do without the connection. */
static void
judge_stream_zero(struct checker *checker, struct verdict *verdict, const char *packet)
{
	const uint64_t end_ms = clock_now_ms() + checker->timeout_ms;
	struct probe_event event;

	do {
		probe_next_within(checker->probe, &event, QUIET_MS);
		if (!reply_is_packet(&event, WISP_DATA, WISP_CONNECTION))
			continue;
		/* Only version 2 says that it is reserved. */
		if (checker->version == 2)
			verdict_warn(verdict, "after %s, it serves a stream 0, which is reserved", packet);
		else
			verdict_note(verdict, "after %s, it serves a stream 0", packet);
	} while (event.kind != PROBE_SILENCE && probe_is_open(checker->probe) && clock_now_ms() < end_ms);
	reply_expect_life(checker, verdict, packet);
}

static void
run_id_zero(struct checker *checker, struct verdict *verdict)
{
	const struct targets *targets = checker->targets;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_packet(checker->probe, WISP_DATA, WISP_CONNECTION, "x", 1);
	judge_stream_zero(checker, verdict, "DATA of stream 0");
	if (!probe_begin(checker, verdict))
		return;
	probe_send_connect(checker->probe, WISP_CONNECTION, WISP_TCP, targets->host, targets->tcp[TARGET_ECHO]);
	probe_send_packet(checker->probe, WISP_DATA, WISP_CONNECTION, "x", 1);
	judge_stream_zero(checker, verdict, "CONNECT of stream 0");
	if (!probe_begin(checker, verdict))
		return;
	probe_send_close(checker->probe, WISP_CONNECTION, WISP_REASON_VOLUNTARY);
	judge_stream_zero(checker, verdict, "CLOSE of stream 0");
}

const struct check stream_checks[] = {
	{"streams/echo-0", DATA_SECTION, "An empty DATA packet does no harm to what comes behind it", NEEDS_TARGETS,
		run_echo_0},
	{"streams/echo-1", DATA_SECTION, "One byte is echoed", NEEDS_TARGETS, run_echo_1},
	{"streams/echo-125", DATA_SECTION, "125 bytes are echoed, in packets of several sizes", NEEDS_TARGETS,
		run_echo_125},
	{"streams/echo-126", DATA_SECTION, "126 bytes are echoed, in packets of several sizes", NEEDS_TARGETS,
		run_echo_126},
	{"streams/echo-65535", DATA_SECTION, "65,535 bytes are echoed, in packets of several sizes", NEEDS_TARGETS,
		run_echo_65535},
	{"streams/echo-65536", DATA_SECTION, "65,536 bytes are echoed, in packets of several sizes", NEEDS_TARGETS,
		run_echo_65536},
	{"streams/echo-16m", DATA_SECTION, "16 MiB are echoed, in packets of several sizes", NEEDS_TARGETS,
		run_echo_16m},
	{"streams/optimistic", CONNECT_SECTION,
		"DATA sent right behind CONNECT, up to the initial credit, reaches the far end whole and in order",
		NEEDS_TARGETS, run_optimistic},
	{"streams/at-once-1", DATA_SECTION, "A single stream carries 1 MiB each way", NEEDS_TARGETS, run_at_once_1},
	{"streams/at-once-10", DATA_SECTION, "10 streams at once each get their own bytes", NEEDS_TARGETS,
		run_at_once_10},
	{"streams/at-once-256", DATA_SECTION, "256 streams at once each get their own bytes", NEEDS_TARGETS,
		run_at_once_256},
	{"streams/ids-sequential", FORMAT_SECTION, "Stream ids may be sequential", NEEDS_TARGETS, run_ids_sequential},
	{"streams/ids-random", FORMAT_SECTION, "Stream ids may be random", NEEDS_TARGETS, run_ids_random},
	{"streams/ids-highest", FORMAT_SECTION, "All 32 bits of a stream id count, up to 0xffffffff", NEEDS_TARGETS,
		run_ids_highest},
	{"streams/id-after-close", CONNECT_SECTION, "An id can be used again after the client's CLOSE", NEEDS_TARGETS,
		run_id_after_close},
	{"streams/id-after-end", CONNECT_SECTION, "An id can be used again after the server's CLOSE", NEEDS_TARGETS,
		run_id_after_end},
	{"streams/id-twice", CONNECT_SECTION, "CONNECT with the id of an open stream does not take its place",
		NEEDS_TARGETS, run_id_twice},
	{"streams/id-zero", FORMAT_SECTION, "Packets of stream 0 do no harm to others", NEEDS_TARGETS, run_id_zero},
	{"streams/far-end-closes", CLOSE_SECTION,
		"All that the far end sent before it closed arrives, and then CLOSE with reason 0x02", NEEDS_TARGETS,
		check_far_end_closes},
	{"streams/far-end-closes-slow-reader", CLOSE_SECTION,
		"All that the far end sent before it closed arrives, even when the client reads late", NEEDS_TARGETS,
		check_far_end_closes_slow_reader},
	{"streams/close-reaches-far-end", CLOSE_SECTION,
		"The client's CLOSE closes the connection to the far end, and no other", NEEDS_TARGETS,
		check_close_reaches_far_end},
	{"streams/close-stops-far-end", CLOSE_SECTION,
		"The client's CLOSE stops the DATA of a far end that goes on sending", NEEDS_TARGETS,
		check_close_stops_far_end},
	{"streams/close-unanswered", CLOSE_SECTION, "The client's CLOSE is not answered with CLOSE", NEEDS_TARGETS,
		check_close_unanswered},
	{0},
};
