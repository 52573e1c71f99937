#include "reply.h"

#include <string.h>

#include "clock.h"
#include "target.h"

/* No check uses it for anything else. */
#define LIFE_STREAM 0x600dcafe

bool
reply_is_end(const struct probe_event *event)
{
	return event->kind == PROBE_CLOSE || event->kind == PROBE_END || event->kind == PROBE_WRONG;
}

bool
reply_is_packet(const struct probe_event *event, enum wisp_packet_type type, uint32_t stream)
{
	return event->kind == PROBE_PACKET && event->type == (uint8_t)type && event->stream == stream;
}

/* The next event, within what is left until a time of the clock. */
static void
next_until(struct checker *checker, struct probe_event *event, uint64_t deadline_ms)
{
	const uint64_t now_ms = clock_now_ms();

	probe_next_within(checker->probe, event, deadline_ms > now_ms ? deadline_ms - now_ms : 0);
	/* Whoever talks without end is as good as silent. */
	if (now_ms >= deadline_ms && !reply_is_end(event))
		event->kind = PROBE_SILENCE;
}

void
reply_await_within(struct checker *checker, uint32_t stream, struct probe_event *event, uint64_t ms)
{
	const uint64_t deadline_ms = clock_now_ms() + ms;

	do {
		next_until(checker, event, deadline_ms);
		if (reply_is_packet(event, WISP_DATA, stream) || reply_is_packet(event, WISP_CLOSE, stream))
			return;
	} while (event->kind != PROBE_SILENCE && !reply_is_end(event));
}

void
reply_await(struct checker *checker, uint32_t stream, struct probe_event *event)
{
	reply_await_within(checker, stream, event, checker->timeout_ms);
}

bool
reply_await_end(struct checker *checker, uint16_t *status)
{
	const uint64_t deadline_ms = clock_now_ms() + checker->timeout_ms;
	struct probe_event event;

	*status = 0;
	do {
		next_until(checker, &event, deadline_ms);
	} while (event.kind != PROBE_SILENCE && !reply_is_end(&event));
	if (event.kind == PROBE_CLOSE)
		*status = event.status;
	return event.kind != PROBE_SILENCE;
}

bool
reply_await_pong(struct checker *checker, const void *payload, size_t n, struct probe_event *event)
{
	const uint64_t deadline_ms = clock_now_ms() + checker->timeout_ms;

	do {
		next_until(checker, event, deadline_ms);
		if (event->kind == PROBE_PONG && event->size == n &&
			(n == 0 || memcmp(event->payload, payload, n) == 0))
			return true;
	} while (event->kind != PROBE_SILENCE && !reply_is_end(event));
	return false;
}

bool
reply_echoes(struct checker *checker, uint32_t stream, struct probe_event *event)
{
	static const char text[] = "still there?";
	const size_t size = sizeof text - 1;
	size_t come = 0;

	probe_send_connect(
		checker->probe, stream, WISP_TCP, checker->targets->host, checker->targets->tcp[TARGET_ECHO]);
	probe_send_packet(checker->probe, WISP_DATA, stream, text, size);
	while (come < size) {
		reply_await(checker, stream, event);
		if (!reply_is_packet(event, WISP_DATA, stream) || event->size > size - come ||
			(event->size > 0 && memcmp(event->payload, text + come, event->size) != 0))
			return false;
		come += event->size;
	}
	probe_send_close(checker->probe, stream, WISP_REASON_VOLUNTARY);
	return true;
}

/* Whether the connection does its work; `event` is what came last. */
static bool
lives(struct checker *checker, struct probe_event *event)
{
	static const char text[] = "alive?";

	if (checker->echoes)
		return reply_echoes(checker, LIFE_STREAM, event);
	probe_send_frame(checker->probe, WISP_OPCODE_PING, true, text, sizeof text - 1);
	return reply_await_pong(checker, text, sizeof text - 1, event);
}

void
reply_expect_service(struct checker *checker, struct verdict *verdict, const char *what)
{
	const struct probe_opening opening = {.offers_v2 = checker->version == 2};
	struct probe_event event;

	if (!probe_open(checker->probe, &opening) || (checker->greets && !probe_greet(checker->probe)))
		verdict_fail(verdict, "after %s, there is no new connection: %s", what, probe_failure(checker->probe));
	else if (checker->greets && !lives(checker, &event))
		verdict_fail(
			verdict, "after %s, a new connection does not work: %s came", what, probe_describe(&event));
}

bool
reply_expect_life(struct checker *checker, struct verdict *verdict, const char *what)
{
	struct probe_event event;
	bool stood = false;

	if (probe_is_open(checker->probe)) {
		stood = lives(checker, &event);
		if (!stood && !reply_is_end(&event))
			verdict_fail(verdict, "after %s, the connection stands but does not work: %s came", what,
				probe_describe(&event));
	}
	reply_expect_service(checker, verdict, what);
	return stood;
}
