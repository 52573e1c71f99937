/*
 * Datagrams. They may be lost, and overtake each other, on any part of their way: what does not come back is sent again
 * a few times before it counts as lost.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "greeting.h"
#include "probe.h"
#include "reply.h"
#include "target.h"

#define STREAM 7
#define SECOND_STREAM 8
#define TRIES 4
#define DATAGRAM_MAX 65507
/* A server that lost everything else would still be of use to the DNS, to QUIC and to games. */
#define COMMON_MAX 1472
/* The datagrams of one burst. */
#define BURST 6
/* That many datagrams take more than the credit of any stream, unless it is uncommonly large. */
#define UNCOUNTED_MAX 512
#define WINDOW 8
#define EXCHANGE_PATIENCE 4

static void
open_stream(struct checker *checker, uint32_t stream, uint16_t port)
{
	probe_send_connect(checker->probe, stream, WISP_UDP, checker->targets->host, port);
}

/* The bytes of a datagram: no two of a check are the same. */
static void
fill(uint8_t *p, size_t n, uint8_t number)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(TARGET_BYTE(i) + number * 59U + n);
}

static bool
is_datagram(const struct probe_event *event, uint32_t stream, const uint8_t *p, size_t n)
{
	return reply_is_packet(event, WISP_DATA, stream) && event->size == n &&
	       (n == 0 || memcmp(event->payload, p, n) == 0);
}

/* Send a datagram until it comes back. Returns whether it did; `event` is what came last. */
static bool
try_echo(struct checker *checker, uint32_t stream, const uint8_t *p, size_t n, struct probe_event *event)
{
	for (int i = 0; i < TRIES; i++) {
		probe_send_packet(checker->probe, WISP_DATA, stream, p, n);
		reply_await_within(checker, stream, event, checker->timeout_ms / TRIES);
		if (event->kind != PROBE_SILENCE)
			break;
	}
	return is_datagram(event, stream, p, n);
}

/* Whether a stream may be refused for this reason although streams of its kind are there. */
static bool
is_policy(uint8_t reason)
{
	return reason == WISP_REASON_BLOCKED || reason == WISP_REASON_THROTTLED;
}

/* Echo datagrams of these sizes, each on a stream of its own. Calls of `judge` say what is lost. */
static void
echo_sizes(struct checker *checker, struct verdict *verdict, const size_t *sizes, size_t count,
	void (*judge)(struct verdict *, const char *, ...))
{
	uint8_t *p = malloc(DATAGRAM_MAX);
	struct probe_event event;

	if (p == NULL || !probe_begin(checker, verdict)) {
		free(p);
		return;
	}
	for (size_t i = 0; i < count && probe_is_open(checker->probe); i++) {
		const uint32_t stream = STREAM + (uint32_t)i;

		fill(p, sizes[i], (uint8_t)i);
		open_stream(checker, stream, checker->targets->udp_echo);
		if (!try_echo(checker, stream, p, sizes[i], &event))
			judge(verdict, "%s came for %zu bytes", probe_describe(&event), sizes[i]);
		probe_send_close(checker->probe, stream, WISP_REASON_VOLUNTARY);
	}
	free(p);
	if (!reply_expect_life(checker, verdict, "the datagrams"))
		judge(verdict, "the connection is over after them");
}

/*
 * A server of version 2 says whether it has UDP: then it has to let us have it, as it lets us have TCP. It may still
 * have a policy for ports, or be short of something.
 */
static void
check_offered(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t p[] = "offered";
	struct probe_event event;

	if (!checker->udp) {
		verdict_skip(verdict, "the server has no UDP");
		return;
	}
	if (!probe_begin(checker, verdict))
		return;
	open_stream(checker, STREAM, checker->targets->udp_echo);
	try_echo(checker, STREAM, p, sizeof p, &event);
	if (reply_is_end(&event) || (reply_is_packet(&event, WISP_CLOSE, STREAM) && !is_policy(event.reason)))
		verdict_fail(verdict, "%s came", probe_describe(&event));
	else if (!reply_is_packet(&event, WISP_DATA, STREAM) && !checker->reaches_udp_targets)
		verdict_warn(verdict, "%s came", probe_describe(&event));
}

static void
check_echo(struct checker *checker, struct verdict *verdict)
{
	static const size_t sizes[] = {1, 2, 512, 1200, 1350, COMMON_MAX};

	echo_sizes(checker, verdict, sizes, sizeof sizes / sizeof *sizes, verdict_fail);
}

/* Whether a stream goes on after empty datagrams, of which some may still come back; `event` is what came last. */
static bool
goes_on(struct checker *checker, struct probe_event *event)
{
	static const uint8_t p[] = "behind it";

	for (int i = 0; i < TRIES; i++) {
		probe_send_packet(checker->probe, WISP_DATA, STREAM, p, sizeof p);
		do
			reply_await_within(checker, STREAM, event, checker->timeout_ms / TRIES);
		while (is_datagram(event, STREAM, NULL, 0));
		if (event->kind != PROBE_SILENCE)
			break;
	}
	return is_datagram(event, STREAM, p, sizeof p);
}

/* An empty datagram is like any other, and no end: of the stream least of all. */
static void
check_empty(struct checker *checker, struct verdict *verdict)
{
	struct probe_event event;
	bool came;

	if (!probe_begin(checker, verdict))
		return;
	open_stream(checker, STREAM, checker->targets->udp_echo);
	came = try_echo(checker, STREAM, NULL, 0, &event);
	if (!came)
		verdict_warn(verdict, "%s came for it", probe_describe(&event));
	if ((came || event.kind == PROBE_SILENCE) && !goes_on(checker, &event))
		verdict_warn(verdict, "%s came for the datagram behind it", probe_describe(&event));
	if (!reply_expect_life(checker, verdict, "an empty datagram"))
		verdict_warn(verdict, "it ends the connection");
}

/* On their way to targets elsewhere they would be fragments, which not every network carries. */
static void
check_large(struct checker *checker, struct verdict *verdict)
{
	static const size_t sizes[] = {COMMON_MAX + 1, 4096, 9000, 16384, 32768, DATAGRAM_MAX};

	echo_sizes(checker, verdict, sizes, sizeof sizes / sizeof *sizes, verdict_warn);
}

/* A DATA packet that no datagram can carry: it is lost, or the stream is closed. */
static void
check_too_large(struct checker *checker, struct verdict *verdict)
{
	static const size_t sizes[] = {DATAGRAM_MAX + 1, 65535, 65536, 200000};
	uint8_t *p = calloc(1, 200000);
	struct probe_event event;

	for (size_t i = 0; p != NULL && i < sizeof sizes / sizeof *sizes; i++) {
		char what[50];

		if (!probe_begin(checker, verdict))
			break;
		open_stream(checker, STREAM, checker->targets->udp_echo);
		probe_send_packet(checker->probe, WISP_DATA, STREAM, p, sizes[i]);
		probe_send_packet(checker->probe, WISP_DATA, STREAM, "behind it", 9);
		reply_await_within(checker, STREAM, &event, checker->timeout_ms / TRIES);
		if (reply_is_packet(&event, WISP_DATA, STREAM) && event.size != 9)
			verdict_fail(verdict, "%zu bytes came for %zu", event.size, sizes[i]);
		snprintf(what, sizeof what, "a datagram of %zu bytes", sizes[i]);
		if (!reply_expect_life(checker, verdict, what) && verdict->outcome == OUTCOME_PASS)
			verdict_note(verdict, "%s ends the connection", what);
	}
	free(p);
}

/* ---- boundaries ---- */

/* Which of a burst's datagrams an event is: its number, or BURST for none. */
static size_t
which(const struct probe_event *event, const uint8_t *p, const size_t *sizes, size_t room)
{
	size_t i = 0;

	while (i < BURST && !is_datagram(event, STREAM, p + i * room, sizes[i]))
		i++;
	return i;
}

/* Take what comes of a burst. Returns how many of it did. */
static size_t
take_burst(struct checker *checker, struct verdict *verdict, const uint8_t *p, const size_t *sizes, size_t room)
{
	struct probe_event event;
	size_t come = 0;

	while (come < BURST && verdict->outcome != OUTCOME_FAIL) {
		reply_await(checker, STREAM, &event);
		if (event.kind == PROBE_SILENCE)
			break;
		if (which(&event, p, sizes, room) == BURST)
			verdict_fail(verdict, "%s came, which is none of those sent", probe_describe(&event));
		come++;
	}
	return come;
}

static void
check_boundaries(struct checker *checker, struct verdict *verdict)
{
	static const size_t sizes[BURST] = {10, 700, 20, 1200, 30, 40};
	static uint8_t p[BURST][1200];
	size_t come;

	if (!probe_begin(checker, verdict))
		return;
	open_stream(checker, STREAM, checker->targets->udp_echo);
	for (size_t i = 0; i < BURST; i++) {
		fill(p[i], sizes[i], (uint8_t)i);
		probe_send_packet(checker->probe, WISP_DATA, STREAM, p[i], sizes[i]);
	}
	come = take_burst(checker, verdict, p[0], sizes, sizeof p[0]);
	if (come < BURST)
		verdict_warn(verdict, "%zu of %d came", come, BURST);
	reply_expect_life(checker, verdict, "a burst of datagrams");
}

/* ---- credit ---- */

/* Exchange datagrams, a few under way at a time, until so many were sent. Returns how many came back. */
static size_t
exchange(struct checker *checker, struct verdict *verdict, size_t count)
{
	const uint64_t deadline_ms = clock_now_ms() + EXCHANGE_PATIENCE * checker->timeout_ms;
	size_t sent = 0, come = 0, idle = 0;

	while (come < count && idle < TRIES && verdict->outcome != OUTCOME_FAIL && clock_now_ms() < deadline_ms) {
		struct probe_event event;

		for (; sent < count && sent < come + WINDOW * (1 + idle); sent++)
			probe_send_packet(checker->probe, WISP_DATA, STREAM, &sent, sizeof sent);
		probe_next_within(checker->probe, &event, checker->timeout_ms / TRIES);
		if (reply_is_packet(&event, WISP_DATA, STREAM)) {
			come++;
		} else if (event.kind == PROBE_SILENCE) {
			idle++;
		} else if (reply_is_packet(&event, WISP_CONTINUE, STREAM) || reply_is_end(&event) ||
			   reply_is_packet(&event, WISP_CLOSE, STREAM)) {
			verdict_fail(verdict, "%s came after %zu datagrams", probe_describe(&event), sent);
		}
	}
	return come;
}

static void
check_no_continue(struct checker *checker, struct verdict *verdict)
{
	const uint32_t credit = checker->credit;
	const size_t count = credit < UNCOUNTED_MAX / 2 ? 2 * (size_t)credit + WINDOW : UNCOUNTED_MAX;
	size_t come;

	if (!probe_begin(checker, verdict))
		return;
	open_stream(checker, STREAM, checker->targets->udp_echo);
	come = exchange(checker, verdict, count);
	if (come <= credit && credit < count)
		verdict_warn(verdict, "only %zu of %zu datagrams came back", come, count);
	else
		verdict_note(verdict, "%zu of %zu datagrams came back", come, count);
	reply_expect_life(checker, verdict, "more datagrams than a TCP stream has credit");
}

/* ---- streams ---- */

/* Two streams with a datagram each, sent until both have come back: each has to come on its own. */
static void
try_two(struct checker *checker, struct verdict *verdict, uint16_t second_port)
{
	bool first = false, second = false;

	if (!probe_begin(checker, verdict))
		return;
	open_stream(checker, STREAM, checker->targets->udp_echo);
	open_stream(checker, SECOND_STREAM, second_port);
	for (int i = 0; i < TRIES && !(first && second); i++) {
		const uint64_t deadline_ms = clock_now_ms() + checker->timeout_ms / TRIES;
		struct probe_event event = {.kind = PROBE_PING};

		probe_send_packet(checker->probe, WISP_DATA, STREAM, "first", 5);
		probe_send_packet(checker->probe, WISP_DATA, SECOND_STREAM, "second", 6);
		while (!(first && second) && event.kind != PROBE_SILENCE && clock_now_ms() < deadline_ms) {
			probe_next_within(checker->probe, &event, checker->timeout_ms / TRIES);
			if (reply_is_end(&event) ||
				(event.kind == PROBE_PACKET && (event.type == WISP_CLOSE || event.type == WISP_DATA) &&
					!is_datagram(&event, STREAM, (const uint8_t *)"first", 5) &&
					!is_datagram(&event, SECOND_STREAM, (const uint8_t *)"second", 6))) {
				verdict_fail(verdict, "%s came", probe_describe(&event));
				return;
			}
			first = first || reply_is_packet(&event, WISP_DATA, STREAM);
			second = second || reply_is_packet(&event, WISP_DATA, SECOND_STREAM);
		}
	}
	if (!first || !second)
		verdict_fail(verdict, "the %s stream's datagram did not come back", first ? "second" : "first");
}

static void
check_two_streams(struct checker *checker, struct verdict *verdict)
{
	try_two(checker, verdict, checker->targets->udp_echo);
	if (verdict->outcome == OUTCOME_PASS)
		try_two(checker, verdict, checker->targets->udp_second);
}

static void
check_close(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t one[] = "before", other[] = "after";
	struct probe_event event;

	if (!probe_begin(checker, verdict))
		return;
	open_stream(checker, STREAM, checker->targets->udp_echo);
	if (!try_echo(checker, STREAM, one, sizeof one, &event)) {
		verdict_fail(verdict, "%s came", probe_describe(&event));
		return;
	}
	probe_send_close(checker->probe, STREAM, WISP_REASON_VOLUNTARY);
	probe_send_packet(checker->probe, WISP_DATA, STREAM, other, sizeof other);
	reply_await_within(checker, STREAM, &event, checker->timeout_ms / TRIES);
	if (is_datagram(&event, STREAM, other, sizeof other))
		verdict_fail(verdict, "a datagram that was sent after CLOSE came back");
	if (!reply_expect_life(checker, verdict, "a datagram for a closed stream"))
		verdict_fail(verdict, "a datagram for a closed stream ends the connection");
}

static void
check_unresolvable(struct checker *checker, struct verdict *verdict)
{
	struct probe_event event;

	if (!probe_begin(checker, verdict))
		return;
	probe_send_connect(checker->probe, STREAM, WISP_UDP, "wispcheck.invalid", 9);
	reply_await_within(checker, STREAM, &event, 3 * checker->timeout_ms);
	if (event.kind == PROBE_SILENCE)
		verdict_warn(verdict, "nothing came");
	else if (!reply_is_packet(&event, WISP_CLOSE, STREAM))
		verdict_fail(verdict, "%s came", probe_describe(&event));
	else if (event.reason != WISP_REASON_UNREACHABLE)
		verdict_warn(
			verdict, "the reason is 0x%02x (%s), not 0x42", event.reason, wisp_reason_text(event.reason));
	reply_expect_life(checker, verdict, "a name that does not resolve");
}

/* Only extensions that both sides have named may be used. */
static void
check_not_agreed(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t p[] = "not agreed";
	static struct greeting greeting;
	struct probe_event event;

	if (!greeting_begin_open(checker, verdict, &greeting))
		return;
	greeting_answer(checker, NULL, 0);
	probe_next(checker->probe, &event);
	open_stream(checker, STREAM, checker->targets->udp_echo);
	probe_send_packet(checker->probe, WISP_DATA, STREAM, p, sizeof p);
	reply_await(checker, STREAM, &event);
	if (is_datagram(&event, STREAM, p, sizeof p))
		verdict_warn(verdict, "it does");
	else
		verdict_note(verdict, "%s came", probe_describe(&event));
	reply_expect_life(checker, verdict, "UDP that was not agreed on");
}

const struct check udp_checks[] = {
	{"udp/offered", "Wisp v2: Protocol Extensions, UDP", "UDP that INFO offers can be used",
		NEEDS_TARGETS | NEEDS_V2, check_offered},
	{"udp/echo", "Wisp: Packet Types, DATA", "datagrams of 1 to 1,472 bytes come back as they were sent", NEEDS_UDP,
		check_echo},
	{"udp/empty", "Wisp: Packet Types, DATA", "an empty datagram comes back, and the stream goes on", NEEDS_UDP,
		check_empty},
	{"udp/large", "Wisp: Packet Types, DATA", "datagrams of up to 65,507 bytes come back", NEEDS_UDP, check_large},
	{"udp/too-large", "Wisp: Packet Types, DATA", "a packet that fits in no datagram does no harm", NEEDS_UDP,
		check_too_large},
	{"udp/boundaries", "Wisp: Packet Types, DATA", "each packet is one datagram: none are cut or joined", NEEDS_UDP,
		check_boundaries},
	{"udp/no-continue", "Wisp: Packet Types, CONTINUE",
		"datagrams cost no credit, and there is no CONTINUE for their stream", NEEDS_UDP, check_no_continue},
	{"udp/two-streams", "Wisp: Packet Types, DATA",
		"streams to one destination, and to two, get the answers to their own datagrams", NEEDS_UDP,
		check_two_streams},
	{"udp/close", "Wisp: Packet Types, CLOSE", "a closed stream carries nothing more", NEEDS_UDP, check_close},
	{"udp/unresolvable", "Wisp: Client/Server Close Reasons",
		"a stream to a name that does not resolve is closed with reason 0x42", NEEDS_UDP, check_unresolvable},
	{"udp/not-agreed", "Wisp v2: Handshake Steps", "a client that did not name the extension gets no UDP",
		NEEDS_UDP | NEEDS_V2, check_not_agreed},
	{0},
};
