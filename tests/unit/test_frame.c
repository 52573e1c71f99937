/* WebSocket frames: what the encoder writes, and what the decoder makes of good and of bad input. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <wisp/frame.h>

static const uint8_t rfc_key[WISP_MASK_SIZE] = {0x37, 0xfa, 0x21, 0x3d};

/* ---- references ---- */

/* RFC 6455 section 5.3, word for word. */
static void
naive_mask(uint8_t *p, size_t n, const uint8_t *key, size_t phase)
{
	for (size_t i = 0; i < n; i++)
		p[i] ^= key[(i + phase) % 4];
}

/* RFC 6455 section 5.2: append a frame whose first byte is `start`. */
static void
put_frame(struct buffer *out, unsigned start, const uint8_t *key, const void *payload, size_t n)
{
	const unsigned masked = key != NULL ? 0x80 : 0;
	const unsigned size = n < 126 ? 0 : n < 65536 ? 2 : 8;
	size_t payload_at;

	buffer_put_byte(out, start);
	buffer_put_byte(out, masked | (size == 0 ? (unsigned)n : size == 2 ? 126 : 127));
	for (unsigned i = size; i > 0; i--)
		buffer_put_byte(out, (unsigned)((uint64_t)n >> 8 * (i - 1)) & 0xff);
	if (key != NULL)
		buffer_put(out, key, WISP_MASK_SIZE);
	payload_at = out->n;
	buffer_put(out, payload, n);
	if (key != NULL)
		naive_mask(out->p + payload_at, n, key, 0);
}

/* ---- the decoder's findings as text ---- */

struct trace {
	struct wisp_frame_decoder decoder;
	struct buffer log;
	bool failed;
};

static void
log_control(struct buffer *log, const char *name, const struct wisp_frame_piece *piece)
{
	buffer_printf(log, "%s(", name);
	buffer_put_escaped(log, piece->data, piece->size);
	buffer_printf(log, ")");
}

/* A message is logged from its first piece to its last, so that the log does not depend on where it was split. */
static void
log_piece(struct trace *trace, const struct wisp_frame_piece *piece)
{
	switch (piece->kind) {
	case WISP_FRAME_MESSAGE:
		if (piece->first)
			buffer_printf(&trace->log, piece->opcode == WISP_OPCODE_TEXT ? "text(" : "binary(");
		buffer_put_escaped(&trace->log, piece->data, piece->size);
		if (piece->last)
			buffer_printf(&trace->log, ")");
		break;
	case WISP_FRAME_PING:
		log_control(&trace->log, "ping", piece);
		break;
	case WISP_FRAME_PONG:
		log_control(&trace->log, "pong", piece);
		break;
	case WISP_FRAME_CLOSE:
		log_control(&trace->log, "close", piece);
		break;
	case WISP_FRAME_ERROR:
		buffer_printf(&trace->log, "!%s", trace->decoder.error);
		break;
	case WISP_FRAME_NONE:
		break;
	}
}

static void
feed_decoder(void *arg, uint8_t *p, size_t n, bool last)
{
	struct trace *const trace = arg;
	struct wisp_frame_piece piece;

	(void)last;
	while (!trace->failed) {
		const size_t taken = wisp_frame_decode(&trace->decoder, p, n, &piece);

		assert_true(taken <= n);
		/* In place: a message is never copied. */
		if (piece.kind == WISP_FRAME_MESSAGE)
			assert_true(piece.data >= p && piece.data + piece.size == p + taken);
		log_piece(trace, &piece);
		trace->failed = piece.kind == WISP_FRAME_ERROR;
		p += taken;
		n -= taken;
		if (piece.kind == WISP_FRAME_NONE) {
			assert_int_equal(n, 0);
			break;
		}
	}
}

static void
decode(struct trace *trace, unsigned split, bool masked, const struct buffer *input)
{
	memset(trace, 0, sizeof *trace);
	wisp_frame_decoder_init(&trace->decoder, masked);
	feed_split(split, input->p, input->n, feed_decoder, trace);
}

/* The input gives the expected log, wherever it is split. */
static void
expect_log(bool masked, const struct buffer *input, const char *expected)
{
	struct trace trace;

	for (unsigned split = 0; split < SPLITS; split++) {
		decode(&trace, split, masked, input);
		assert_string_equal(buffer_text(&trace.log), expected);
		buffer_free(&trace.log);
	}
}

/* ---- masking ---- */

#define GUARD 0xa5
#define ALIGNMENTS 33
#define SIZES 140
#define PHASES 9

static void
mask_is_that_of_the_rfc_at_all_alignments(void **state)
{
	static uint8_t ours[ALIGNMENTS + SIZES + 1], theirs[sizeof ours];
	struct rng rng = rng_seeded(1);
	uint8_t key[WISP_MASK_SIZE];

	(void)state;
	for (size_t at = 0; at < ALIGNMENTS; at++) {
		for (size_t n = 0; n < SIZES; n++) {
			const size_t phase = rng_below(&rng, PHASES);

			rng_fill(&rng, key, sizeof key);
			memset(ours, GUARD, sizeof ours);
			rng_fill(&rng, ours + at, n);
			memcpy(theirs, ours, sizeof ours);
			wisp_mask(ours + at, n, key, phase);
			naive_mask(theirs + at, n, key, phase);
			assert_memory_equal(ours, theirs, sizeof ours);
		}
	}
}

static void
mask_goes_on_where_a_piece_ended(void **state)
{
	struct rng rng = rng_seeded(2);
	uint8_t plain[500], masked[sizeof plain];

	(void)state;
	rng_fill(&rng, plain, sizeof plain);
	for (size_t cut = 0; cut <= sizeof plain; cut++) {
		memcpy(masked, plain, sizeof plain);
		wisp_mask(masked, cut, rfc_key, 0);
		wisp_mask(masked + cut, sizeof plain - cut, rfc_key, cut);
		naive_mask(masked, sizeof plain, rfc_key, 0);
		assert_memory_equal(masked, plain, sizeof plain);
	}
}

/* ---- the encoder ---- */

static const size_t sizes[] = {0, 1, 2, 31, 32, 33, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 150000};

static void
header_size_is_the_shortest(void **state)
{
	static const struct {
		size_t n, size;
	} cases[] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}, {SIZE_MAX / 2, 10}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(wisp_frame_header_size(cases[i].n, false), cases[i].size);
		assert_int_equal(wisp_frame_header_size(cases[i].n, true), cases[i].size + WISP_MASK_SIZE);
	}
	assert_int_equal(wisp_frame_header_size(65536, true), WISP_FRAME_HEADER_MAX);
}

static void
check_encoder(size_t n, enum wisp_opcode opcode, const uint8_t *key)
{
	const size_t header_size = wisp_frame_header_size(n, key != NULL);
	uint8_t *const frame = malloc(header_size + n);
	struct rng rng = rng_seeded(n);
	struct buffer expected = {0};

	assert_non_null(frame);
	rng_fill(&rng, frame + header_size, n);
	put_frame(&expected, 0x80 | (unsigned)opcode, key, frame + header_size, n);
	assert_ptr_equal(wisp_frame_encode(frame + header_size, n, opcode, key), frame);
	assert_int_equal(expected.n, header_size + n);
	assert_memory_equal(frame, expected.p, expected.n);
	buffer_free(&expected);
	free(frame);
}

static void
encoder_writes_in_front_of_the_payload(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		check_encoder(sizes[i], WISP_OPCODE_BINARY, NULL);
		check_encoder(sizes[i], WISP_OPCODE_BINARY, rfc_key);
	}
	check_encoder(WISP_FRAME_CONTROL_MAX, WISP_OPCODE_PING, rfc_key);
	check_encoder(0, WISP_OPCODE_CLOSE, NULL);
}

/* ---- the decoder: good input ---- */

static void
decoder_reads_each_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
		const size_t n = sizes[i / 2];
		const uint8_t *const key = i % 2 ? rfc_key : NULL;
		struct rng rng = rng_seeded(n);
		struct buffer input = {0}, expected = {0};
		uint8_t *const payload = malloc(n + 1);

		assert_non_null(payload);
		rng_fill(&rng, payload, n);
		put_frame(&input, 0x82, key, payload, n);
		buffer_printf(&expected, "binary(");
		buffer_put_escaped(&expected, payload, n);
		buffer_printf(&expected, ")");
		/* The large ones would take minutes in the many splits that the small ones go through. */
		for (unsigned split = 0; split < (n < 1000 ? SPLITS : 12); split++) {
			struct trace trace;

			decode(&trace, split, key != NULL, &input);
			assert_int_equal(trace.log.n, expected.n);
			assert_memory_equal(trace.log.p, expected.p, expected.n);
			buffer_free(&trace.log);
		}
		free(payload);
		buffer_free(&input);
		buffer_free(&expected);
	}
}

/* The examples of RFC 6455 section 5.7, as they stand there. */
static void
decoder_reads_the_examples_of_the_rfc(void **state)
{
	static const struct {
		bool masked;
		const uint8_t *input;
		size_t n;
		const char *log;
	} cases[] = {
		{false, BYTES("\x81\x05\x48\x65\x6c\x6c\x6f"), "text(Hello)"},
		{true, BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "text(Hello)"},
		{false, BYTES("\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f"), "text(Hello)"},
		{false, BYTES("\x89\x05\x48\x65\x6c\x6c\x6f"), "ping(Hello)"},
		{true, BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "pong(Hello)"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer input = {0};

		buffer_put(&input, cases[i].input, cases[i].n);
		expect_log(cases[i].masked, &input, cases[i].log);
		buffer_free(&input);
	}
}

/* A row of frames, in which a key that changes shows one that is kept for too long. */
struct frame {
	unsigned start;
	const char *payload;
};

static void
expect_frames(const struct frame *frames, size_t count, const char *log)
{
	for (int masked = 0; masked < 2; masked++) {
		struct rng rng = rng_seeded(3);
		struct buffer input = {0};
		uint8_t key[WISP_MASK_SIZE];

		for (size_t i = 0; i < count; i++) {
			rng_fill(&rng, key, sizeof key);
			put_frame(&input, frames[i].start, masked ? key : NULL, frames[i].payload,
				strlen(frames[i].payload));
		}
		expect_log(masked, &input, log);
		buffer_free(&input);
	}
}

static void
decoder_joins_fragments(void **state)
{
	static const struct frame between[] = {{0x02, "one "}, {0x89, "ping in between"}, {0x00, "two "}, {0x8a, ""},
		{0x89, ""}, {0x80, "three"}, {0x81, "next"}};
	static const struct frame empty_start[] = {{0x01, ""}, {0x89, "x"}, {0x00, ""}, {0x80, "end"}};
	static const struct frame empty_end[] = {{0x02, "begin"}, {0x00, ""}, {0x80, ""}, {0x82, ""}, {0x81, ""}};
	static const struct frame all_empty[] = {{0x02, ""}, {0x00, ""}, {0x80, ""}, {0x82, "b"}};
	static const struct frame closed[] = {{0x02, "half"}, {0x88, "\x03\xe8 bye"}};

	(void)state;
	expect_frames(between, COUNT(between), "binary(one ping(ping in between)two pong()ping()three)text(next)");
	expect_frames(empty_start, COUNT(empty_start), "ping(x)text(end)");
	expect_frames(empty_end, COUNT(empty_end), "binary(begin)binary()text()");
	expect_frames(all_empty, COUNT(all_empty), "binary()binary(b)");
	expect_frames(closed, COUNT(closed), "binary(halfclose(\\x03\\xe8 bye)");
}

static void
decoder_takes_control_frames_up_to_their_limit(void **state)
{
	static const unsigned starts[] = {0x88, 0x89, 0x8a};
	static const char *const names[] = {"close", "ping", "pong"};
	char payload[WISP_FRAME_CONTROL_MAX + 1];

	(void)state;
	memset(payload, 'x', sizeof payload - 1);
	payload[sizeof payload - 1] = '\0';
	for (size_t i = 0; i < COUNT(starts); i++) {
		const struct frame frames[] = {{starts[i], payload}, {starts[i], payload + 1}, {starts[i], ""}};
		struct buffer expected = {0};

		buffer_printf(&expected, "%s(%s)%s(%s)%s()", names[i], payload, names[i], payload + 1, names[i]);
		expect_frames(frames, COUNT(frames), buffer_text(&expected));
		buffer_free(&expected);
	}
}

/* ---- the decoder: what it refuses ---- */

#define RESERVED_BITS "!reserved bits are set in a frame"
#define RESERVED_OPCODE "!a frame has a reserved opcode"
#define FRAGMENTED "!a control frame is fragmented"
#define TOO_LONG "!a control frame is longer than 125 bytes"
#define NOT_SHORTEST "!a frame's length is not in its shortest form"
#define TOP_BIT "!a frame's length has its top bit set"
#define NOTHING_TO_CONTINUE "!a continuation frame continues nothing"
#define INSIDE_ANOTHER "!a message begins inside another"

/* The error comes with the last byte of the input and not before; `log` is what was found up to there. */
struct bad_input {
	bool masked;
	const uint8_t *input;
	size_t n;
	const char *log;
};

static const struct bad_input bad_inputs[] = {
	{false, BYTES("\xc2\x00"), RESERVED_BITS},
	{false, BYTES("\xa2\x00"), RESERVED_BITS},
	{false, BYTES("\x92\x00"), RESERVED_BITS},
	{false, BYTES("\x99\x00"), RESERVED_BITS},
	{false, BYTES("\x02\x01x\xc0\x00"), "binary(x" RESERVED_BITS},
	{false, BYTES("\x83\x00"), RESERVED_OPCODE},
	{false, BYTES("\x84\x00"), RESERVED_OPCODE},
	{false, BYTES("\x05\x00"), RESERVED_OPCODE},
	{false, BYTES("\x86\x00"), RESERVED_OPCODE},
	{false, BYTES("\x87\x00"), RESERVED_OPCODE},
	{false, BYTES("\x8b\x00"), RESERVED_OPCODE},
	{false, BYTES("\x8c\x00"), RESERVED_OPCODE},
	{false, BYTES("\x0d\x00"), RESERVED_OPCODE},
	{false, BYTES("\x8e\x00"), RESERVED_OPCODE},
	{false, BYTES("\x8f\x00"), RESERVED_OPCODE},
	{false, BYTES("\x82\x80"), "!a frame from the server is masked"},
	{false, BYTES("\x89\x80"), "!a frame from the server is masked"},
	{true, BYTES("\x82\x00"), "!a frame from the client is not masked"},
	{true, BYTES("\x88\x02"), "!a frame from the client is not masked"},
	{false, BYTES("\x08\x00"), FRAGMENTED},
	{false, BYTES("\x09\x00"), FRAGMENTED},
	{false, BYTES("\x0a\x05"), FRAGMENTED},
	{false, BYTES("\x88\x7e"), TOO_LONG},
	{false, BYTES("\x89\x7e"), TOO_LONG},
	{false, BYTES("\x8a\x7f"), TOO_LONG},
	{true, BYTES("\x89\xfe"), TOO_LONG},
	{false, BYTES("\x82\x7e\x00\x00"), NOT_SHORTEST},
	{false, BYTES("\x82\x7e\x00\x7d"), NOT_SHORTEST},
	{true, BYTES("\x82\xfe\x00\x7d\x00\x00\x00\x00"), NOT_SHORTEST},
	{false, BYTES("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x00"), NOT_SHORTEST},
	{false, BYTES("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x7e"), NOT_SHORTEST},
	{false, BYTES("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), NOT_SHORTEST},
	{true, BYTES("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00"), NOT_SHORTEST},
	{false, BYTES("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), TOP_BIT},
	{false, BYTES("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), TOP_BIT},
	{true, BYTES("\x82\xff\x80\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), TOP_BIT},
	{false, BYTES("\x80\x00"), NOTHING_TO_CONTINUE},
	{false, BYTES("\x00\x00"), NOTHING_TO_CONTINUE},
	{false, BYTES("\x81\x01x\x80\x00"), "text(x)" NOTHING_TO_CONTINUE},
	{false, BYTES("\x01\x01x\x80\x00\x80\x00"), "text(x)" NOTHING_TO_CONTINUE},
	{false, BYTES("\x89\x00\x80\x00"), "ping()" NOTHING_TO_CONTINUE},
	{false, BYTES("\x02\x01x\x82\x00"), "binary(x" INSIDE_ANOTHER},
	{false, BYTES("\x01\x00\x02\x00"), INSIDE_ANOTHER},
	{false, BYTES("\x02\x00\x89\x00\x01\x00"), "ping()" INSIDE_ANOTHER},
};

static void
decoder_refuses_what_the_rfc_forbids(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_inputs); i++) {
		const struct bad_input *const bad = &bad_inputs[i];
		struct buffer input = {0}, found = {0};

		buffer_put(&input, bad->input, bad->n - 1);
		buffer_put(&found, bad->log, strcspn(bad->log, "!"));
		expect_log(bad->masked, &input, buffer_text(&found));
		buffer_put(&input, bad->input + bad->n - 1, 1);
		expect_log(bad->masked, &input, bad->log);
		buffer_put(&input, "\x82\x00 whatever follows", 19);
		expect_log(bad->masked, &input, bad->log);
		buffer_free(&input);
		buffer_free(&found);
	}
}

static void
decoder_stays_in_error(void **state)
{
	struct wisp_frame_decoder decoder;
	struct wisp_frame_piece piece;
	uint8_t input[] = {0x83, 0x00, 0x82, 0x00};

	(void)state;
	wisp_frame_decoder_init(&decoder, false);
	assert_int_equal(wisp_frame_decode(&decoder, input, sizeof input, &piece), 2);
	assert_int_equal(piece.kind, WISP_FRAME_ERROR);
	assert_int_equal(wisp_frame_decode(&decoder, input + 2, 2, &piece), 0);
	assert_int_equal(piece.kind, WISP_FRAME_ERROR);
}

/* The other side of the limits: the shortest and the longest length of each form are begun, not refused. */
static void
decoder_takes_the_lengths_at_the_limits(void **state)
{
	static const struct {
		const uint8_t *input;
		size_t n;
		uint64_t remaining;
	} cases[] = {
		{BYTES("\x82\x7d"), 125},
		{BYTES("\x82\x7e\x00\x7e"), 126},
		{BYTES("\x82\x7e\xff\xff"), 65535},
		{BYTES("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), 65536},
		{BYTES("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trace trace;
		struct buffer input = {0};

		buffer_put(&input, cases[i].input, cases[i].n);
		buffer_put(&input, "x", 1);
		for (unsigned split = 0; split < SPLITS; split++) {
			decode(&trace, split, false, &input);
			assert_string_equal(buffer_text(&trace.log), "binary(x");
			assert_true(trace.decoder.remaining == cases[i].remaining - 1);
			buffer_free(&trace.log);
		}
		buffer_free(&input);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mask_is_that_of_the_rfc_at_all_alignments),
		cmocka_unit_test(mask_goes_on_where_a_piece_ended),
		cmocka_unit_test(header_size_is_the_shortest),
		cmocka_unit_test(encoder_writes_in_front_of_the_payload),
		cmocka_unit_test(decoder_reads_each_size),
		cmocka_unit_test(decoder_reads_the_examples_of_the_rfc),
		cmocka_unit_test(decoder_joins_fragments),
		cmocka_unit_test(decoder_takes_control_frames_up_to_their_limit),
		cmocka_unit_test(decoder_refuses_what_the_rfc_forbids),
		cmocka_unit_test(decoder_stays_in_error),
		cmocka_unit_test(decoder_takes_the_lengths_at_the_limits),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
