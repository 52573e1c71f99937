/*
 * The group "credit": how a server stops a client that sends faster than the far end takes it, and does not stop it
 * otherwise. Every check begins with a connection of its own.
 */
#include <inttypes.h>

#include "check.h"
#include "clock.h"
#include "exchange.h"
#include "probe.h"
#include "reply.h"

#define CONTINUE_SECTION "Wisp: Packet Types, CONTINUE"

/* A server that announces more than this is not tried to the end of it. */
#define CREDIT_MAX 16384
/* A stream on which no credit has come for so long is taken to be stopped. */
#define QUIET_MS 1000
#define STALL_PACKET_BYTES 16384
/* Streams that are stopped at once, and what their packets hold: small ones, of which many are on their way. */
#define STALLED 8
#define STALLED_PACKET_BYTES 4096
/* What kernels may hold on the way to a far end that does not read, with room to spare. */
#define KERNEL_BYTES (UINT64_C(64) << 20)
#define DATAGRAMS_MAX 512
#define DATAGRAM_WAIT_MS 100
/* After so many datagrams in a row that were lost, the others are not waited for. */
#define LOST_MAX 3

static uint64_t
quiet_ms(const struct checker *checker)
{
	return checker->timeout_ms < QUIET_MS ? checker->timeout_ms : QUIET_MS;
}

/* Open a connection and its first stream, and wait until the stream is confirmed if that was agreed. */
static bool
begin(struct exchange *exchange, struct checker *checker, struct exchange_stream *streams, size_t count,
	struct verdict *verdict)
{
	const uint64_t end_ms = clock_now_ms() + checker->timeout_ms;

	if (checker->credit > CREDIT_MAX) {
		verdict_skip(verdict, "the server announces a credit of %" PRIu32 " packets, too much to use up",
			checker->credit);
		return false;
	}
	if (!exchange_begin(exchange, checker, streams, count, verdict))
		return false;
	exchange_connect(exchange, &streams[0]);
	if (!probe_handshake(checker->probe)->confirmation)
		return true;
	while (streams[0].continues == 0 && clock_now_ms() < end_ms) {
		const uint64_t credit = streams[0].credit;

		streams[0].credit = 0; /* nothing is sent before */
		if (exchange_step(exchange, quiet_ms(checker)) == EXCHANGE_FAULT) {
			verdict_fail(verdict, "%s", exchange->fault);
			return false;
		}
		if (streams[0].continues == 0)
			streams[0].credit = (uint32_t)credit;
	}
	streams[0].continues = 0;
	return true;
}

/* ---- a far end that reads ---- */

static void
run_comes_in_time(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 1, .kind = TARGET_SINK, .packet_bytes = 1};
	struct exchange exchange;

	if (!begin(&exchange, checker, &stream, 1, verdict))
		return;
	/* The last packet can only leave when a CONTINUE has come for each time that all credit was used up. */
	stream.to_send = stream.credit * UINT64_C(4) + 1;
	if (!exchange_run(&exchange))
		verdict_fail(verdict, "%s", exchange.fault);
}

static void
run_comes_early(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 1, .kind = TARGET_SINK, .packet_bytes = 1};
	struct exchange exchange;
	const uint64_t end_ms = clock_now_ms() + checker->timeout_ms;

	if (!begin(&exchange, checker, &stream, 1, verdict))
		return;
	if (stream.credit < 2) {
		verdict_skip(verdict, "the credit is %" PRIu32, stream.credit);
		return;
	}
	stream.to_send = stream.credit - UINT64_C(1);
	if (!exchange_run(&exchange)) {
		verdict_fail(verdict, "%s", exchange.fault);
		return;
	}
	while (stream.continues == 0 && clock_now_ms() < end_ms) {
		const enum exchange_result result = exchange_step(&exchange, quiet_ms(checker));

		if (result == EXCHANGE_FAULT)
			verdict_fail(verdict, "%s", exchange.fault);
		if (result != EXCHANGE_MOVED)
			break;
	}
	if (stream.continues == 0)
		verdict_warn(verdict, "none came after %" PRIu64 " of %" PRIu32 " packets: clients have to wait for it",
			stream.packets_sent, checker->credit);
}

static void
run_within_announced(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 1, .kind = TARGET_SINK, .packet_bytes = 4000};
	struct exchange exchange;
	const uint32_t announced = checker->credit;

	if (!begin(&exchange, checker, &stream, 1, verdict))
		return;
	stream.to_send = announced * UINT64_C(4) * stream.packet_bytes;
	if (!exchange_run(&exchange))
		verdict_fail(verdict, "%s", exchange.fault);
	else if (stream.most_credit > announced)
		verdict_fail(verdict, "a CONTINUE gave %" PRIu32 ", where the handshake had announced %" PRIu32,
			stream.most_credit, announced);
	else
		verdict_note(
			verdict, "%" PRIu32 " CONTINUE for %" PRIu64 " packets", stream.continues, stream.packets_sent);
}

/* ---- a far end that does not ---- */

/*
 * Send on the first so many streams, to far ends that do not read, until no more credit comes. Returns false, with the
 * verdict failed, when it comes without end, or something else happened.
 */
static bool
stall(struct exchange *exchange, size_t count, struct verdict *verdict)
{
	struct checker *checker = exchange->checker;
	const uint64_t limit = KERNEL_BYTES + (uint64_t)checker->credit * STALL_PACKET_BYTES;
	uint64_t moved_ms = clock_now_ms();

	/* As long as not all has left, the way may be slow. */
	while (clock_now_ms() - moved_ms <
		(probe_is_flushed(checker->probe) ? quiet_ms(checker) : checker->timeout_ms)) {
		const enum exchange_result result = exchange_step(exchange, quiet_ms(checker));

		if (result == EXCHANGE_FAULT) {
			verdict_fail(verdict, "%s", exchange->fault);
			return false;
		}
		if (result == EXCHANGE_MOVED)
			moved_ms = clock_now_ms();
		for (size_t i = 0; i < count; i++) {
			if (exchange->streams[i].sent <= limit)
				continue;
			verdict_fail(verdict, "the server gave credit for more than %" PRIu64 " MiB that nobody reads",
				limit >> 20);
			return false;
		}
	}
	for (size_t i = 0; i < count; i++)
		exchange->streams[i].to_send = exchange->streams[i].sent;
	return true;
}

static void
run_stops(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {
		.id = 1, .kind = TARGET_SILENT, .packet_bytes = STALL_PACKET_BYTES, .to_send = UINT64_MAX};
	struct exchange exchange;

	if (!begin(&exchange, checker, &stream, 1, verdict) || !stall(&exchange, 1, verdict))
		return;
	if (stream.credit > 0)
		verdict_warn(
			verdict, "the server stopped reading with credit for %" PRIu32 " packets left", stream.credit);
	else
		verdict_note(verdict, "after %" PRIu64 " KiB", stream.sent >> 10);
}

static void
run_stalled_beside(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream streams[STALLED + 1];
	struct exchange_stream *echo = &streams[STALLED];
	struct exchange exchange;

	/* Several at once: while one is given credit, packets of all of them are on their way to the server. */
	for (size_t i = 0; i < STALLED; i++)
		streams[i] = (struct exchange_stream){.id = (uint32_t)i + 1,
			.kind = TARGET_SILENT,
			.packet_bytes = STALLED_PACKET_BYTES,
			.to_send = UINT64_MAX};
	*echo = (struct exchange_stream){.id = STALLED + 1, .seed = 1, .packet_bytes = 1000, .to_send = 256 << 10};
	if (!begin(&exchange, checker, streams, STALLED + 1, verdict))
		return;
	for (size_t i = 1; i < STALLED; i++)
		exchange_connect(&exchange, &streams[i]);
	if (!stall(&exchange, STALLED, verdict))
		return;
	exchange_connect(&exchange, echo);
	if (!exchange_run(&exchange))
		verdict_fail(verdict, "beside streams that are stopped: %s", exchange.fault);
}

static void
run_overdrawn(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {
		.id = 1, .kind = TARGET_SILENT, .packet_bytes = STALL_PACKET_BYTES, .to_send = UINT64_MAX};
	struct exchange exchange;
	struct probe_event event;
	enum exchange_result result;
	const uint64_t end_ms = clock_now_ms() + 4 * checker->timeout_ms;

	if (!begin(&exchange, checker, &stream, 1, verdict) || !stall(&exchange, 1, verdict))
		return;
	/* Twice as much again as the server can buffer, in small packets. */
	for (uint32_t i = 0; i < 2 * checker->credit; i++)
		probe_send_packet(checker->probe, WISP_DATA, stream.id, "x", 1);
	do
		result = exchange_step(&exchange, quiet_ms(checker));
	while (result == EXCHANGE_MOVED && clock_now_ms() < end_ms);
	if (stream.closed)
		verdict_note(verdict, "the stream was closed, reason 0x%02x", stream.reason);
	else if (!probe_is_open(checker->probe))
		verdict_note(verdict, "the server ended the connection");
	else
		verdict_note(verdict, "the server held %" PRIu32 " packets more", 2 * checker->credit);
	if (probe_is_open(checker->probe) && !reply_echoes(checker, stream.id + 1, &event))
		verdict_warn(verdict, "the whole connection waits for that stream: on another one, %s came",
			probe_describe(&event));
	reply_expect_service(checker, verdict, "that");
}

/* ---- UDP ---- */

static void
run_none_for_udp(struct checker *checker, struct verdict *verdict)
{
	const struct targets *targets = checker->targets;
	const uint32_t datagrams = checker->credit < DATAGRAMS_MAX / 2 ? 2 * checker->credit : DATAGRAMS_MAX;
	struct probe_event event;
	unsigned lost = 0;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_connect(checker->probe, 1, WISP_UDP, targets->host, targets->udp_echo);
	for (uint32_t i = 0; i < datagrams; i++) {
		const uint64_t end_ms = clock_now_ms() + DATAGRAM_WAIT_MS;

		probe_send_packet(checker->probe, WISP_DATA, 1, "datagram", 8);
		do {
			probe_next_within(checker->probe, &event, lost < LOST_MAX ? DATAGRAM_WAIT_MS : 0);
			if (event.kind == PROBE_PACKET && event.type == WISP_CONTINUE && event.stream == 1) {
				verdict_fail(
					verdict, "%s came after %" PRIu32 " datagrams", probe_describe(&event), i + 1);
				return;
			}
		} while (probe_is_open(checker->probe) && event.kind != PROBE_SILENCE &&
			 !(event.kind == PROBE_PACKET && event.type == WISP_DATA) && clock_now_ms() < end_ms);
		lost = event.kind == PROBE_SILENCE ? lost + 1 : 0;
	}
	if (!probe_is_open(checker->probe))
		verdict_fail(verdict, "%s came", probe_describe(&event));
}

const struct check credit_checks[] = {
	{"credit/comes-in-time", CONTINUE_SECTION,
		"A client that has used up its credit is sent CONTINUE, again and again", NEEDS_TARGETS,
		run_comes_in_time},
	{"credit/comes-early", CONTINUE_SECTION, "CONTINUE comes before all credit is used up", NEEDS_TARGETS,
		run_comes_early},
	{"credit/within-announced", CONTINUE_SECTION, "No CONTINUE gives more than the handshake announced",
		NEEDS_TARGETS, run_within_announced},
	{"credit/stops", CONTINUE_SECTION, "A far end that does not read stops the credit", NEEDS_TARGETS, run_stops},
	{"credit/stalled-beside", CONTINUE_SECTION, "A stream that is stopped does not stop another", NEEDS_TARGETS,
		run_stalled_beside},
	{"credit/overdrawn", CONTINUE_SECTION,
		"A client that sends more than its credit allows harms no other connection", NEEDS_TARGETS,
		run_overdrawn},
	{"credit/none-for-udp", CONTINUE_SECTION, "No CONTINUE is sent for UDP streams", NEEDS_TARGETS | NEEDS_UDP,
		run_none_for_udp},
	{0},
};
