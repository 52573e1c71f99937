#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wisp/packet.h>
#include <wisp/session.h>

#include "bytes.h"
#include "clock.h"
#include "probe.h"
#include "target.h"

/* What is asked of a source: more than it can ever send. */
#define ENDLESS_HIGH 0x100
#define COUNT_SIZE 8
/* How long nothing may happen until it is looked at the clock. */
#define GLANCE_MS 50
/* So much is sent before it is seen what has come. */
#define PACKETS_PER_TURN 4
/* DATA beside an echo: it is not to wait for us. */
#define SHORT_DATA (16 * 1024)
/* The first part of the time, which does not count: a tenth. */
#define WARM_UP_PART 10
#define SAMPLES_MAX 65536
/* Streams that are being opened at the same time, and how many all in all: ports of closed ones are not free at once.
 */
#define OPENINGS 16
#define OPENINGS_MAX 5000
#define OPENING_FAILURES_MAX 16
/* What is answered in one go. */
#define EVENTS_PER_STEP (2 * OPENINGS)

/* A stream that carries much. */
struct bulk {
	uint32_t credit;
	uint64_t sent;
	uint64_t moved;  /* bytes that have arrived while it was measured */
	uint64_t report; /* UP: what the sink has counted */
	uint8_t report_bytes[COUNT_SIZE];
	size_t report_size;
};

struct echo {
	uint32_t credit;
	uint64_t sent_us; /* 0 when no byte is under way */
	size_t count;
};

struct load {
	const struct load_site *site;
	const struct load_plan *plan;
	struct load_result *result;
	uint64_t now_us;
	uint64_t begin_us; /* of what counts; 0 before something has moved */
	uint64_t moved_us; /* when something moved */
	uint64_t bulk_moved_us;
	uint64_t ended_us;
	size_t next; /* stream to send */
	struct bulk bulks[LOAD_STREAMS_MAX + 1];
	struct echo echo;
};

/* Too large for the stack; there is one load at a time. */
static uint32_t samples[SAMPLES_MAX];
static uint8_t data[WISP_DATA_MAX];

static void __attribute__((format(printf, 2, 3))) complain(char complaint[LOAD_COMPLAINT_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(complaint, LOAD_COMPLAINT_SIZE, format, args);
	va_end(args);
}

static uint32_t
echo_stream(const struct load *load)
{
	return (uint32_t)load->plan->stream_count + 1;
}

/* ---- sending ---- */

static void
send_echo(struct load *load)
{
	struct echo *echo = &load->echo;

	if (!load->plan->echoes || echo->sent_us != 0 || echo->credit == 0 || load->ended_us != 0)
		return;
	echo->credit--;
	echo->sent_us = clock_now_us();
	probe_send_packet(load->site->probe, WISP_DATA, echo_stream(load), "x", 1);
}

static void
open_streams(struct load *load)
{
	const struct targets *targets = load->site->targets;
	struct probe *probe = load->site->probe;
	const bool down = load->plan->direction == LOAD_DOWN;
	uint8_t count[COUNT_SIZE] = {0};

	store_le32(count + 4, ENDLESS_HIGH);
	probe_hold(probe);
	for (size_t i = 0; i < load->plan->stream_count; i++) {
		const uint32_t id = (uint32_t)i + 1;

		load->bulks[i].credit = load->site->credit;
		probe_send_connect(
			probe, id, WISP_TCP, targets->host, targets->tcp[down ? TARGET_SOURCE : TARGET_SINK]);
		if (down)
			probe_send_packet(probe, WISP_DATA, id, count, sizeof count);
	}
	if (load->plan->echoes) {
		load->echo.credit = load->site->credit;
		probe_send_connect(probe, echo_stream(load), WISP_TCP, targets->host, targets->tcp[TARGET_ECHO]);
		send_echo(load);
	}
	probe_release(probe);
}

/* The next stream that may send; stream_count when there is none. */
static size_t
next_sender(const struct load *load)
{
	const size_t count = load->plan->stream_count;

	if (load->plan->direction == LOAD_DOWN)
		return count;
	for (size_t i = 0; i < count; i++)
		if (load->bulks[(load->next + i) % count].credit > 0)
			return (load->next + i) % count;
	return count;
}

/*
 * Send what the connection takes, the streams in turns: no more than it takes at once waits here. Returns whether
 * there is more to send right away.
 */
static bool
send_bulk(struct load *load)
{
	const size_t size = load->plan->echoes ? SHORT_DATA : sizeof data;

	for (int i = 0; i < PACKETS_PER_TURN && probe_is_flushed(load->site->probe); i++) {
		const size_t sender = next_sender(load);
		struct bulk *bulk = &load->bulks[sender];

		if (sender == load->plan->stream_count)
			return false;
		bulk->credit--;
		bulk->sent += size;
		load->next = sender + 1;
		/* Its last byte has the sink answer. */
		probe_send_packet(load->site->probe, WISP_DATA, (uint32_t)sender + 1, data + sizeof data - size, size);
	}
	return probe_is_flushed(load->site->probe) && next_sender(load) < load->plan->stream_count;
}

/* ---- what comes ---- */

/* Something has moved: n bytes of a bulk, or an echo when it is NULL. */
static void
note_movement(struct load *load, struct bulk *bulk, uint64_t n)
{
	load->moved_us = load->now_us;
	if (bulk != NULL)
		load->bulk_moved_us = load->now_us;
	if (load->begin_us == 0)
		load->begin_us = load->now_us + load->site->duration_us / WARM_UP_PART;
	else if (bulk != NULL && load->now_us >= load->begin_us)
		bulk->moved += n;
}

/* What a sink says of how much it has read. */
static void
take_reports(struct load *load, struct bulk *bulk, const uint8_t *p, size_t n)
{
	while (n > 0) {
		uint64_t count;

		bulk->report_bytes[bulk->report_size++] = *p++;
		n--;
		if (bulk->report_size < COUNT_SIZE)
			continue;
		bulk->report_size = 0;
		count = load_le32(bulk->report_bytes) | (uint64_t)load_le32(bulk->report_bytes + 4) << 32;
		if (count > bulk->sent || count < bulk->report) {
			complain(load->result->complaint, "the sink's answers do not arrive as they were sent");
			return;
		}
		note_movement(load, bulk, count - bulk->report);
		bulk->report = count;
	}
}

static void
take_echo(struct load *load)
{
	struct echo *echo = &load->echo;

	if (echo->sent_us == 0)
		return;
	if (load->begin_us != 0 && load->now_us >= load->begin_us && echo->count < SAMPLES_MAX)
		samples[echo->count++] = (uint32_t)(load->now_us - echo->sent_us);
	echo->sent_us = 0;
	note_movement(load, NULL, 0);
	send_echo(load);
}

static void
take_packet(struct load *load, const struct probe_event *event)
{
	const bool is_echo = load->plan->echoes && event->stream == echo_stream(load);
	struct bulk *bulk;

	if (event->stream == 0 || event->stream > load->plan->stream_count + is_echo) {
		if (event->type == WISP_CLOSE && event->stream == 0)
			complain(load->result->complaint, "%s", probe_describe(event));
		return;
	}
	bulk = &load->bulks[event->stream - 1]; /* the echo's is not used */
	if (event->type == WISP_CLOSE)
		complain(load->result->complaint, "%s", probe_describe(event));
	else if (event->type == WISP_CONTINUE)
		*(is_echo ? &load->echo.credit : &bulk->credit) = event->credit;
	else if (event->type == WISP_DATA && is_echo)
		take_echo(load);
	else if (event->type == WISP_DATA && load->plan->direction == LOAD_DOWN)
		note_movement(load, bulk, event->size);
	else if (event->type == WISP_DATA)
		take_reports(load, bulk, event->payload, event->size);
}

static void
take(struct load *load, const struct probe_event *event)
{
	if (event->kind == PROBE_PACKET)
		take_packet(load, event);
	else if (event->kind == PROBE_END || event->kind == PROBE_WRONG || event->kind == PROBE_CLOSE)
		complain(load->result->complaint, "%s", probe_describe(event));
}

/* ---- time ---- */

/* Whether the time is over. A byte that is under way is waited for: the slowest ones count, too. */
static bool
is_over(struct load *load)
{
	const uint64_t timeout_us = load->site->timeout_ms * 1000;
	const struct echo *echo = &load->echo;

	if (load->result->complaint[0] != '\0')
		return true;
	if (load->ended_us == 0 && load->begin_us != 0 && load->now_us >= load->begin_us + load->site->duration_us)
		load->ended_us = load->now_us;
	if (load->ended_us != 0 && echo->sent_us == 0)
		return true;
	if (echo->sent_us != 0 && load->now_us > echo->sent_us + timeout_us)
		complain(load->result->complaint, "a byte did not come back within %g s", (double)timeout_us / 1e6);
	else if (load->now_us > load->moved_us + timeout_us)
		complain(load->result->complaint, "nothing arrived for %g s", (double)timeout_us / 1e6);
	return load->result->complaint[0] != '\0';
}

/* ---- what came of it ---- */

static int
compare_samples(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* The smallest sample that so many of a hundred do not exceed. */
static double
percentile(size_t count, size_t percent)
{
	return samples[(count * percent + 99) / 100 - 1];
}

static void
sum_up_echoes(struct load *load)
{
	const size_t count = load->echo.count;

	if (count == 0) {
		complain(load->result->complaint, "no byte came back");
		return;
	}
	qsort(samples, count, sizeof *samples, compare_samples);
	load->result->median_us = percentile(count, 50);
	load->result->p99_us = percentile(count, 99);
}

static void
sum_up_bulk(struct load *load)
{
	const double seconds = (double)(load->ended_us - load->begin_us) / 1e6;
	double sum = 0, squares = 0;

	for (size_t i = 0; i < load->plan->stream_count; i++) {
		const double moved = (double)load->bulks[i].moved;

		sum += moved;
		squares += moved * moved;
	}
	if (sum == 0 || load->bulk_moved_us < load->begin_us + load->site->duration_us / 2) {
		complain(load->result->complaint, "the data stopped half-way");
		return;
	}
	load->result->bytes_per_second = sum / seconds;
	load->result->fairness = sum * sum / ((double)load->plan->stream_count * squares);
}

bool
load_run(const struct load_site *site, const struct load_plan *plan, struct load_result *result)
{
	struct load load = {.site = site, .plan = plan, .result = result};

	memset(result, 0, sizeof *result);
	if (site->credit == 0) {
		complain(result->complaint, "new streams get no credit");
		return false;
	}
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i % 251);
	data[sizeof data - 1] = 0xff;
	load.now_us = load.moved_us = clock_now_us();
	open_streams(&load);
	while (!is_over(&load)) {
		struct probe_event event;
		const bool more = send_bulk(&load);

		probe_next_turn(site->probe, &event, more ? 0 : GLANCE_MS);
		load.now_us = clock_now_us();
		take(&load, &event);
	}
	if (result->complaint[0] == '\0' && plan->echoes)
		sum_up_echoes(&load);
	if (result->complaint[0] == '\0' && plan->stream_count > 0)
		sum_up_bulk(&load);
	return result->complaint[0] == '\0';
}

/* ---- new streams ---- */

struct openings {
	const struct load_site *site;
	char *complaint;
	uint32_t streams[OPENINGS]; /* those under way */
	uint32_t last;              /* the one opened last */
	unsigned done;
	unsigned failed;
	uint8_t reason; /* of the last failure */
	uint64_t moved_us;
};

static void
open_stream(struct openings *openings, uint32_t *stream)
{
	const struct targets *targets = openings->site->targets;
	struct probe *probe = openings->site->probe;

	*stream = ++openings->last;
	probe_send_connect(probe, *stream, WISP_TCP, targets->host, targets->tcp[TARGET_ECHO]);
	probe_send_packet(probe, WISP_DATA, *stream, "x", 1);
}

static void
take_opening(struct openings *openings, const struct probe_event *event, uint64_t now_us)
{
	struct probe *probe = openings->site->probe;

	for (size_t i = 0; i < OPENINGS; i++) {
		if (openings->streams[i] != event->stream)
			continue;
		if (event->type == WISP_DATA) {
			openings->done++;
			openings->moved_us = now_us;
			probe_hold(probe);
			probe_send_close(probe, event->stream, WISP_REASON_VOLUNTARY);
			open_stream(openings, &openings->streams[i]);
		} else if (event->type == WISP_CLOSE) {
			openings->failed++;
			openings->reason = event->reason;
			open_stream(openings, &openings->streams[i]);
		}
		return;
	}
}

/* Take what there is. Returns false when it is over. */
static bool
step_openings(struct openings *openings)
{
	struct probe *probe = openings->site->probe;
	struct probe_event event;
	uint64_t now_us;

	probe_next_turn(probe, &event, GLANCE_MS);
	now_us = clock_now_us();
	for (int i = 0; i < EVENTS_PER_STEP && event.kind == PROBE_PACKET; i++) {
		if (event.stream != 0)
			take_opening(openings, &event, now_us);
		probe_next_within(probe, &event, 0);
	}
	probe_release(probe);
	if (event.kind == PROBE_END || event.kind == PROBE_WRONG || event.kind == PROBE_CLOSE)
		complain(openings->complaint, "after %u streams came %s", openings->done, probe_describe(&event));
	else if (openings->failed >= OPENING_FAILURES_MAX)
		complain(openings->complaint, "of %u streams, %u were closed at once, the last one with reason 0x%02x",
			openings->done + openings->failed, openings->failed, openings->reason);
	else if (now_us > openings->moved_us + openings->site->timeout_ms * 1000)
		complain(openings->complaint, "after %u streams, none opened for %g s", openings->done,
			(double)openings->site->timeout_ms / 1e3);
	return openings->complaint[0] == '\0';
}

double
load_open_streams(const struct load_site *site, char complaint[LOAD_COMPLAINT_SIZE])
{
	const uint64_t begin_us = clock_now_us();
	struct openings openings = {.site = site, .complaint = complaint, .moved_us = begin_us};

	complaint[0] = '\0';
	if (site->credit == 0) {
		complain(complaint, "new streams get no credit");
		return -1;
	}
	probe_hold(site->probe);
	for (size_t i = 0; i < OPENINGS; i++)
		open_stream(&openings, &openings.streams[i]);
	probe_release(site->probe);
	while (openings.done < OPENINGS_MAX && clock_now_us() < begin_us + site->duration_us)
		if (!step_openings(&openings))
			return -1;
	if (openings.failed > 0)
		complain(complaint, "%u streams were closed at once, the last one with reason 0x%02x", openings.failed,
			openings.reason);
	if (openings.done == 0) {
		complain(complaint, "no stream opened");
		return -1;
	}
	return (double)openings.done * 1e6 / (double)(clock_now_us() - begin_us);
}
