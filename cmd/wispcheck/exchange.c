#include "exchange.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "clock.h"
#include "probe.h"

/* How much is handed to the probe before it is seen to what comes. */
#define BATCH_BYTES (128 * 1024)
#define BATCH_PACKETS 1024
/* While the probe has something to send, there is soon room for more. */
#define BUSY_MS 1
/* A server may be slow, but not for ever: of the checker's time-out. */
#define TIMEOUTS_IN_ALL 24
#define SOURCE_COUNT_SIZE 8

/* ---- patterns ---- */

/* Eight bytes of a pattern: the finalizer of splitmix64, so that no two places look alike. */
static uint64_t
pattern_block(uint32_t seed, uint64_t i)
{
	uint64_t z = ((uint64_t)seed << 32 ^ i) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint8_t
pattern_byte(uint32_t seed, uint64_t offset)
{
	return (uint8_t)(pattern_block(seed, offset / 8) >> offset % 8 * 8);
}

static void
pattern_fill(uint32_t seed, uint64_t offset, uint8_t *p, size_t n)
{
	uint64_t block = pattern_block(seed, offset / 8);

	for (size_t i = 0; i < n; i++, offset++) {
		if (offset % 8 == 0)
			block = pattern_block(seed, offset / 8);
		p[i] = (uint8_t)(block >> offset % 8 * 8);
	}
}

/* What a stream is to get at an offset. */
static uint8_t
expected_byte(const struct exchange_stream *stream, uint64_t offset)
{
	return stream->kind == TARGET_SOURCE ? TARGET_BYTE(offset) : pattern_byte(stream->seed, offset);
}

/* How many of n bytes at p are what a stream is to get next. */
static size_t
matching(const struct exchange_stream *stream, const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] == expected_byte(stream, stream->received + i))
		i++;
	return i;
}

/* ---- faults ---- */

static enum exchange_result __attribute__((format(printf, 2, 3)))
fault(struct exchange *exchange, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(exchange->fault, sizeof exchange->fault, format, args);
	va_end(args);
	return EXCHANGE_FAULT;
}

/* Bytes came that are not the stream's next: whose are they? */
static enum exchange_result
wrong_bytes(struct exchange *exchange, const struct exchange_stream *stream, const uint8_t *p, size_t n)
{
	const uint64_t at = stream->received;

	for (size_t i = 0; i < exchange->count && n >= 8; i++) {
		const struct exchange_stream *other = &exchange->streams[i];

		if (other != stream && matching(other, p, n) == n)
			return fault(exchange, "stream %u got bytes of stream %u at offset %" PRIu64, stream->id,
				other->id, at);
	}
	return fault(exchange, "byte %" PRIu64 " of stream %u is 0x%02x, not 0x%02x", at, stream->id, *p,
		expected_byte(stream, at));
}

/* ---- what comes ---- */

static enum exchange_result
take_data(struct exchange *exchange, struct exchange_stream *stream, const struct probe_event *event)
{
	const uint64_t total = stream->to_receive;
	size_t right;

	if (stream->closed)
		return fault(exchange, "DATA came for stream %u after its CLOSE", stream->id);
	if (event->size > total - stream->received)
		return fault(
			exchange, "stream %u got more than the %" PRIu64 " bytes that it should", stream->id, total);
	right = matching(stream, event->payload, event->size);
	stream->received += right;
	if (right < event->size)
		return wrong_bytes(exchange, stream, event->payload + right, event->size - right);
	return EXCHANGE_MOVED;
}

static enum exchange_result
take_close(struct exchange *exchange, struct exchange_stream *stream, const struct probe_event *event)
{
	if (stream->closed)
		return fault(exchange, "CLOSE came twice for stream %u", stream->id);
	stream->closed = true;
	stream->reason = event->reason;
	if (stream->kind == TARGET_SOURCE && stream->received == stream->to_receive)
		return EXCHANGE_MOVED;
	return fault(exchange, "%s came after %" PRIu64 " of %" PRIu64 " bytes", probe_describe(event),
		stream->received, stream->to_receive);
}

static enum exchange_result
take_continue(struct exchange *exchange, struct exchange_stream *stream, const struct probe_event *event)
{
	if (event->size < 4)
		return fault(exchange, "a CONTINUE with a payload of %zu bytes came", event->size);
	stream->continues++;
	stream->credit = event->credit;
	if (event->credit > stream->most_credit)
		stream->most_credit = event->credit;
	return EXCHANGE_MOVED;
}

static enum exchange_result
take_packet(struct exchange *exchange, const struct probe_event *event)
{
	struct exchange_stream *stream = NULL;

	for (size_t i = 0; i < exchange->count && stream == NULL; i++)
		if (exchange->streams[i].id == event->stream)
			stream = &exchange->streams[i];
	if (stream == NULL && event->type == WISP_DATA)
		return fault(exchange, "%s came, which was never opened", probe_describe(event));
	if (stream == NULL || stream->left)
		return EXCHANGE_MOVED;
	switch (event->type) {
	case WISP_DATA:
		return take_data(exchange, stream, event);
	case WISP_CLOSE:
		return take_close(exchange, stream, event);
	case WISP_CONTINUE:
		return take_continue(exchange, stream, event);
	default:
		return EXCHANGE_MOVED; /* not what this is about */
	}
}

/* ---- what is sent ---- */

/* Send a stream's next packet. Returns its payload's size. */
static size_t
send_packet(struct exchange *exchange, struct exchange_stream *stream)
{
	static uint8_t payload[EXCHANGE_PACKET_MAX];
	const uint64_t left = stream->to_send - stream->sent;
	size_t n = stream->packet_bytes > 0 ? stream->packet_bytes : (size_t)(stream->packets_sent % 1500 + 1);

	if (n > sizeof payload)
		n = sizeof payload;
	if (n > left)
		n = (size_t)left;
	if (stream->kind == TARGET_SOURCE) {
		store_le32(payload, (uint32_t)stream->to_receive);
		store_le32(payload + 4, (uint32_t)(stream->to_receive >> 32));
	} else {
		pattern_fill(stream->seed, stream->sent, payload, n);
		for (size_t i = 0; i < n && stream->kind == TARGET_SINK; i++)
			payload[i] &= 0x7f; /* a sink answers 0xff */
	}
	probe_send_packet(exchange->checker->probe, WISP_DATA, stream->id, payload, n);
	stream->sent += n;
	stream->packets_sent++;
	stream->credit--;
	return n;
}

static bool
can_send(const struct exchange_stream *stream)
{
	return stream->sent < stream->to_send && stream->credit > 0 && !stream->closed && !stream->left;
}

/* Send a batch, a packet of each stream in turn. Returns whether there was anything to send. */
static bool
send_batch(struct exchange *exchange)
{
	size_t idle = 0;
	size_t bytes = 0;

	for (size_t packets = 0; packets < BATCH_PACKETS && bytes < BATCH_BYTES && idle < exchange->count;) {
		struct exchange_stream *stream = &exchange->streams[exchange->next];

		exchange->next = (exchange->next + 1) % exchange->count;
		if (!can_send(stream)) {
			idle++;
			continue;
		}
		bytes += send_packet(exchange, stream);
		packets++;
		idle = 0;
	}
	return bytes > 0;
}

/* ---- all of it ---- */

bool
exchange_begin(struct exchange *exchange, struct checker *checker, struct exchange_stream *streams, size_t count,
	struct verdict *verdict)
{
	*exchange = (struct exchange){.checker = checker, .streams = streams, .count = count};
	for (size_t i = 0; i < count; i++)
		streams[i].left = true; /* until it is connected */
	return probe_begin(checker, verdict);
}

void
exchange_connect(struct exchange *exchange, struct exchange_stream *stream)
{
	const struct targets *targets = exchange->checker->targets;

	stream->sent = stream->received = stream->packets_sent = 0;
	stream->continues = stream->most_credit = 0;
	stream->credit = probe_handshake(exchange->checker->probe)->credit;
	stream->closed = stream->left = false;
	stream->reason = 0;
	if (stream->kind == TARGET_SOURCE)
		stream->to_send = stream->packet_bytes = SOURCE_COUNT_SIZE;
	else
		stream->to_receive = stream->kind == TARGET_ECHO ? stream->to_send : 0;
	probe_send_connect(exchange->checker->probe, stream->id, WISP_TCP, targets->host, targets->tcp[stream->kind]);
}

void
exchange_close(struct exchange *exchange, struct exchange_stream *stream)
{
	stream->left = true;
	probe_send_close(exchange->checker->probe, stream->id, WISP_REASON_VOLUNTARY);
}

enum exchange_result
exchange_step(struct exchange *exchange, uint64_t wait_ms)
{
	struct probe *probe = exchange->checker->probe;
	struct probe_event event;
	bool sent = false;

	if (probe_is_flushed(probe))
		sent = send_batch(exchange);
	if (!probe_is_flushed(probe) && wait_ms > BUSY_MS)
		wait_ms = BUSY_MS;
	else if (sent)
		wait_ms = 0;
	probe_next_within(probe, &event, wait_ms);
	switch (event.kind) {
	case PROBE_PACKET:
		return take_packet(exchange, &event);
	case PROBE_CLOSE:
	case PROBE_END:
	case PROBE_WRONG:
		return fault(exchange, "%s came", probe_describe(&event));
	case PROBE_TEXT:
	case PROBE_PING:
	case PROBE_PONG:
		break;
	case PROBE_SILENCE:
		return sent ? EXCHANGE_MOVED : EXCHANGE_SILENCE;
	}
	return EXCHANGE_MOVED;
}

/* A stream that is not done; NULL when all are. */
static const struct exchange_stream *
unfinished(const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->count; i++) {
		const struct exchange_stream *stream = &exchange->streams[i];

		if (stream->left)
			continue;
		if (stream->sent < stream->to_send || stream->received < stream->to_receive ||
			(stream->kind == TARGET_SOURCE && !stream->closed))
			return stream;
	}
	return NULL;
}

static bool
stands_still(struct exchange *exchange, const struct exchange_stream *stream)
{
	if (stream->sent < stream->to_send && stream->credit == 0)
		fault(exchange, "no CONTINUE came for stream %u when its credit was used up, after %" PRIu64 " packets",
			stream->id, stream->packets_sent);
	else if (stream->sent < stream->to_send)
		fault(exchange, "the server stopped reading after %" PRIu64 " of %" PRIu64 " bytes of stream %u",
			stream->sent, stream->to_send, stream->id);
	else if (stream->received < stream->to_receive)
		fault(exchange, "nothing more came for stream %u after %" PRIu64 " of %" PRIu64 " bytes", stream->id,
			stream->received, stream->to_receive);
	else
		fault(exchange, "no CLOSE came for stream %u, whose far end had closed after %" PRIu64 " bytes",
			stream->id, stream->received);
	return false;
}

bool
exchange_run(struct exchange *exchange)
{
	const uint64_t timeout_ms = exchange->checker->timeout_ms;
	const uint64_t end_ms = clock_now_ms() + TIMEOUTS_IN_ALL * timeout_ms;
	uint64_t moved_ms = clock_now_ms();
	const struct exchange_stream *stream;

	while ((stream = unfinished(exchange)) != NULL) {
		const uint64_t now_ms = clock_now_ms();
		enum exchange_result result;

		if (now_ms >= end_ms || now_ms - moved_ms >= timeout_ms)
			return stands_still(exchange, stream);
		result = exchange_step(exchange, timeout_ms - (now_ms - moved_ms));
		if (result == EXCHANGE_FAULT)
			return false;
		if (result == EXCHANGE_MOVED)
			moved_ms = now_ms;
	}
	return true;
}

bool
exchange_begin_with(
	struct exchange *exchange, struct checker *checker, struct exchange_stream *stream, struct verdict *verdict)
{
	if (!exchange_begin(exchange, checker, stream, 1, verdict))
		return false;
	exchange_connect(exchange, stream);
	if (exchange_run(exchange))
		return true;
	verdict_fail(verdict, "even before that: %s", exchange->fault);
	return false;
}
