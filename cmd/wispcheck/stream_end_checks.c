/* How a stream ends: by the far end, or by the client. */
#include <inttypes.h>

#include "clock.h"
#include "exchange.h"
#include "probe.h"
#include "reply.h"
#include "stream_checks.h"

/* When nothing has come for so long, nothing is on its way any more. */
#define QUIET_MS 200
#define SLOW_READER_MS 1000
/* What may be on its way from the far end when it is closed: in kernels, and in a server. */
#define ON_THE_WAY_BYTES (UINT64_C(64) << 20)

/* Let the far end send so much and close at once; read after so long. */
static void
far_end_closes(struct checker *checker, struct verdict *verdict, const uint64_t *sizes, size_t count, uint64_t idle_ms)
{
	for (size_t i = 0; i < count; i++) {
		struct exchange_stream stream = {.id = (uint32_t)i + 1, .kind = TARGET_SOURCE, .to_receive = sizes[i]};
		struct exchange exchange;

		if (!exchange_begin(&exchange, checker, &stream, 1, verdict))
			return;
		exchange_connect(&exchange, &stream);
		if (idle_ms > 0) {
			exchange_step(&exchange, 0);
			probe_idle(checker->probe, idle_ms);
		}
		if (!exchange_run(&exchange)) {
			verdict_fail(verdict, "%s", exchange.fault);
			return;
		}
		if (stream.reason != WISP_REASON_VOLUNTARY)
			verdict_warn(
				verdict, "the reason was 0x%02x (%s)", stream.reason, wisp_reason_text(stream.reason));
	}
}

void
check_far_end_closes(struct checker *checker, struct verdict *verdict)
{
	const uint64_t sizes[] = {0, 1, 1000, 65536, 1 << 20, 8 << 20};

	far_end_closes(checker, verdict, sizes, sizeof sizes / sizeof *sizes, 0);
}

void
check_far_end_closes_slow_reader(struct checker *checker, struct verdict *verdict)
{
	/* More than the kernels hold, and than a server might. */
	const uint64_t size = 64 << 20;

	far_end_closes(checker, verdict, &size, 1, SLOW_READER_MS);
}

/* Wait until as many connections of TARGET_TELLING are open. */
static bool
wait_for_telling(struct checker *checker, unsigned count)
{
	const uint64_t end_ms = clock_now_ms() + checker->timeout_ms;
	struct probe_event event;

	while (checker->targets->telling_open != count && probe_is_open(checker->probe) && clock_now_ms() < end_ms)
		probe_next_within(checker->probe, &event, 1);
	return checker->targets->telling_open == count;
}

void
check_close_reaches_far_end(struct checker *checker, struct verdict *verdict)
{
	const struct targets *targets = checker->targets;
	const unsigned before = targets->telling_open;

	if (!targets->own) {
		verdict_skip(verdict, "the targets run elsewhere");
		return;
	}
	if (!probe_begin(checker, verdict))
		return;
	for (uint32_t id = 1; id <= 2; id++)
		probe_send_connect(checker->probe, id, WISP_TCP, targets->host, targets->tcp[TARGET_TELLING]);
	if (!wait_for_telling(checker, before + 2)) {
		verdict_fail(verdict, "the server did not connect");
		return;
	}
	probe_send_close(checker->probe, 1, WISP_REASON_VOLUNTARY);
	if (!wait_for_telling(checker, before + 1))
		verdict_fail(verdict, targets->telling_open > before + 1 ? "the far end's connection stays open"
									 : "another stream's connection was closed");
}

void
check_close_stops_far_end(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 1, .kind = TARGET_SOURCE, .to_receive = 4 * ON_THE_WAY_BYTES};
	const uint64_t end_ms = clock_now_ms() + 4 * checker->timeout_ms;
	uint64_t late_bytes = 0;
	struct exchange exchange;
	struct probe_event event;

	if (!exchange_begin(&exchange, checker, &stream, 1, verdict))
		return;
	exchange_connect(&exchange, &stream);
	while (stream.received < 1 << 20) {
		if (exchange_step(&exchange, checker->timeout_ms) == EXCHANGE_MOVED && clock_now_ms() < end_ms)
			continue;
		verdict_fail(verdict, "%s", exchange.fault[0] != '\0' ? exchange.fault : "the data did not come");
		return;
	}
	exchange_close(&exchange, &stream);
	do {
		probe_next_within(checker->probe, &event, QUIET_MS);
		if (event.kind == PROBE_PACKET && event.type == WISP_DATA && event.stream == stream.id)
			late_bytes += event.size;
	} while (event.kind != PROBE_SILENCE && probe_is_open(checker->probe) && late_bytes <= ON_THE_WAY_BYTES &&
		 clock_now_ms() < end_ms);
	if (late_bytes > ON_THE_WAY_BYTES)
		verdict_fail(verdict, "%" PRIu64 " MiB came after that, and it went on", late_bytes >> 20);
	else if (late_bytes > 0)
		verdict_note(verdict, "%" PRIu64 " KiB were on their way", late_bytes >> 10);
}

/*
 * The far end, an echo, has nothing to say when the client closes the stream: a CLOSE that comes then is an answer.
 * The specification neither wants it nor forbids it.
 */
void
check_close_unanswered(struct checker *checker, struct verdict *verdict)
{
	struct exchange_stream stream = {.id = 1, .to_send = 1000};
	struct exchange exchange;
	struct probe_event event;

	if (!exchange_begin_with(&exchange, checker, &stream, verdict))
		return;
	exchange_close(&exchange, &stream);
	reply_await_within(checker, stream.id, &event, QUIET_MS);
	if (reply_is_packet(&event, WISP_CLOSE, stream.id))
		verdict_warn(verdict, "%s came: it ends a new stream, if the client has given that the same id",
			probe_describe(&event));
}
