/* Wisp packets: what is written, and what is read from messages that come in pieces. */
#include "unit.h"

#include <string.h>

#include <wisp/packet.h>

#include "wire.h"

/* ---- writing ---- */

static void
packets_are_written_as_specified(void **state)
{
	static const struct wisp_destination destination = {WISP_UDP, 0x1234, "ab.c", 4};
	uint8_t p[32];

	(void)state;
	assert_int_equal(wisp_packet_header(p, WISP_DATA, 0x01020304), 5);
	assert_memory_equal(p, "\x02\x04\x03\x02\x01", 5);
	assert_int_equal(wisp_packet_connect(p, 0xfffffffe, &destination), 12);
	assert_memory_equal(p, "\x01\xfe\xff\xff\xff\x02\x34\x12\x61\x62.c", 12);
	assert_int_equal(wisp_packet_continue(p, 7, 0x80000001), 9);
	assert_memory_equal(p, "\x03\x07\x00\x00\x00\x01\x00\x00\x80", 9);
	assert_int_equal(wisp_packet_close(p, 0, 0x42), 6);
	assert_memory_equal(p, "\x04\x00\x00\x00\x00\x42", 6);
}

static void
reasons_have_texts(void **state)
{
	(void)state;
	assert_string_equal(wisp_reason_text(WISP_REASON_REFUSED), "connection refused");
	assert_string_equal(wisp_reason_text(WISP_REASON_UNKNOWN), "unknown");
	for (unsigned reason = 0; reason <= UINT8_MAX; reason++)
		assert_non_null(wisp_reason_text((uint8_t)reason));
	assert_string_equal(wisp_reason_text(0), "unknown");
	assert_string_equal(wisp_reason_text(0xff), "unknown");
}

/* ---- reading ---- */

struct trace {
	struct wisp_packet_decoder decoder;
	struct buffer log;
	struct buffer data;
	bool begun; /* a piece of DATA has been handed out, and not yet its last */
	bool failed;
};

static void
feed_decoder(void *arg, uint8_t *p, size_t n, bool last)
{
	struct trace *const trace = arg;
	struct wisp_packet packet;

	if (trace->failed)
		return;
	switch (wisp_packet_decode(&trace->decoder, p, n, last, &packet)) {
	case WISP_PACKET_NONE:
		break;
	case WISP_PACKET_FOUND:
		if (packet.type == WISP_DATA) {
			/* In place: what is left of the piece is the piece of data. */
			assert_true(packet.data >= p && packet.data + packet.size == p + n);
			assert_int_equal(packet.last, last);
			assert_int_equal(packet.first, !trace->begun);
			trace->begun = !last;
			buffer_put(&trace->data, packet.data, packet.size);
			if (!last)
				break;
			packet.data = trace->data.p;
			packet.size = trace->data.n;
			buffer_clear(&trace->data);
		}
		assert_true(last);
		wire_log_packet(&trace->log, &packet);
		break;
	case WISP_PACKET_ERROR:
		buffer_printf(&trace->log, "!%s", trace->decoder.error);
		trace->failed = true;
		break;
	}
}

struct message {
	const uint8_t *p;
	size_t n;
};

/* One decoder reads the messages, each split in the same ways, and gives the expected log. */
static void
expect_log(const struct message *messages, size_t count, const char *expected)
{
	for (unsigned split = 0; split < SPLITS; split++) {
		struct trace trace = {0};

		wisp_packet_decoder_init(&trace.decoder);
		for (size_t i = 0; i < count; i++)
			feed_split(split + (unsigned)i, messages[i].p, messages[i].n, feed_decoder, &trace);
		assert_string_equal(buffer_text(&trace.log), expected);
		buffer_free(&trace.log);
		buffer_free(&trace.data);
	}
}

static void
expect_one(const uint8_t *p, size_t n, const char *expected)
{
	const struct message message = {p, n};

	expect_log(&message, 1, expected);
}

static void
packets_are_read_one_after_another(void **state)
{
	static const struct message messages[] = {
		{BYTES("\x03\x00\x00\x00\x00\x80\x00\x00\x00")},
		{BYTES("\x01\x01\x00\x00\x00\x01\x50\x00wisp.example")},
		{BYTES("\x02\x01\x00\x00\x00GET /")},
		{BYTES("\x02\x01\x00\x00\x00")},
		{BYTES("\x02\x01\x00\x00\x00x")},
		{BYTES("\x01\xff\xff\xff\xff\x02\xff\xff::1")},
		{BYTES("\x04\x01\x00\x00\x00\x02")},
		{BYTES("\x05\x00\x00\x00\x00\x02\x00")},
	};

	(void)state;
	expect_log(messages, COUNT(messages),
		"CONTINUE 0 128\n"
		"CONNECT 1 tcp wisp.example 80\n"
		"DATA 1 (GET /)\n"
		"DATA 1 ()\n"
		"DATA 1 (x)\n"
		"CONNECT 4294967295 udp ::1 65535\n"
		"CLOSE 1 0x02\n"
		"INFO 0 (\\x02\\x00)\n");
}

/* The edges of what each type may hold. A destination that is not valid is the stream's error, not the connection's. */
static void
odd_packets_are_read(void **state)
{
	(void)state;
	expect_one(BYTES("\x01\x01\x00\x00\x00\x01\x50\x00"), "CONNECT 1 tcp  80\n");
	expect_one(BYTES("\x01\x01\x00\x00\x00\x07\x00\x00x"), "CONNECT 1 other x 0\n");
	expect_one(BYTES("\x03\x02\x00\x00\x00\xff\xff\xff\xff"), "CONTINUE 2 4294967295\n");
	expect_one(BYTES("\x03\x02\x00\x00\x00\x00\x00\x00\x00more"), "CONTINUE 2 0\n");
	expect_one(BYTES("\x04\x02\x00\x00\x00"), "CLOSE 2 0x01\n");
	expect_one(BYTES("\x04\x02\x00\x00\x00\x44more"), "CLOSE 2 0x44\n");
	expect_one(BYTES("\x05\x00\x00\x00\x00"), "INFO 0 ()\n");
}

#define SHORTER "!a packet is shorter than its header"
#define UNKNOWN_TYPE "!a packet has an unknown type"
#define SHORT_CONNECT "!a CONNECT packet is too short"
#define SHORT_CONTINUE "!a CONTINUE packet is too short"

static void
bad_packets_are_refused(void **state)
{
	static const struct {
		const uint8_t *p;
		size_t n;
		const char *error;
	} cases[] = {
		{BYTES(""), SHORTER},
		{BYTES("\x00\x01\x00\x00\x00"), UNKNOWN_TYPE},
		{BYTES("\x06\x01\x00\x00\x00"), UNKNOWN_TYPE},
		{BYTES("\xff\x01\x00\x00\x00 with payload"), UNKNOWN_TYPE},
		{BYTES("\x01\x01\x00\x00\x00"), SHORT_CONNECT},
		{BYTES("\x01\x01\x00\x00\x00\x01\x50"), SHORT_CONNECT},
		{BYTES("\x03\x01\x00\x00\x00"), SHORT_CONTINUE},
		{BYTES("\x03\x01\x00\x00\x00\x80\x00\x00"), SHORT_CONTINUE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_one(cases[i].p, cases[i].n, cases[i].error);
	for (uint8_t type = 0; type < 8; type++) {
		const uint8_t header[] = {type, 1, 0, 0};

		for (size_t n = 0; n <= sizeof header; n++)
			expect_one(header, n, SHORTER);
	}
}

/* A message that has a payload of n zero bytes behind the header of a type. */
static void
expect_payload(uint8_t type, size_t n, const char *expected)
{
	static uint8_t message[WISP_PACKET_HEADER_SIZE + WISP_PAYLOAD_MAX + 1];

	wisp_packet_header(message, (enum wisp_packet_type)type, 9);
	for (unsigned split = 0; split < 20; split++) {
		struct trace trace = {0};

		wisp_packet_decoder_init(&trace.decoder);
		feed_split(split, message, WISP_PACKET_HEADER_SIZE + n, feed_decoder, &trace);
		assert_string_equal(buffer_text(&trace.log), expected);
		buffer_free(&trace.log);
		buffer_free(&trace.data);
	}
}

static void
payloads_have_a_limit_except_for_data(void **state)
{
	static const char too_long[] = "!a packet is too long for its type";

	(void)state;
	expect_payload(WISP_INFO, WISP_PAYLOAD_MAX, "INFO 9 [16384]\n");
	expect_payload(WISP_INFO, WISP_PAYLOAD_MAX + 1, too_long);
	expect_payload(WISP_CONTINUE, WISP_PAYLOAD_MAX, "CONTINUE 9 0\n");
	expect_payload(WISP_CONTINUE, WISP_PAYLOAD_MAX + 1, too_long);
	expect_payload(WISP_CLOSE, WISP_PAYLOAD_MAX + 1, too_long);
	expect_payload(WISP_CONNECT, WISP_PAYLOAD_MAX + 1, too_long);
	expect_payload(WISP_DATA, WISP_PAYLOAD_MAX + 1, "DATA 9 [16385]\n");
}

/* Hosts at the limit go through whole in both directions, and the session is told the size of longer ones. */
static void
hosts_go_through_whole(void **state)
{
	static const size_t sizes[] = {1, WISP_HOST_MAX - 1, WISP_HOST_MAX, WISP_HOST_MAX + 1};
	char host[WISP_HOST_MAX + 1];
	uint8_t p[WISP_PACKET_HEADER_SIZE + WISP_CONNECT_HEADER_SIZE + sizeof host];
	static struct wisp_packet_decoder decoder;

	(void)state;
	memset(host, 'h', sizeof host);
	wisp_packet_decoder_init(&decoder);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		const struct wisp_destination destination = {WISP_TCP, 65535, host, sizes[i]};
		const size_t n = wisp_packet_connect(p, 1, &destination);
		struct wisp_packet packet;

		assert_int_equal(n, WISP_PACKET_HEADER_SIZE + WISP_CONNECT_HEADER_SIZE + sizes[i]);
		assert_int_equal(wisp_packet_decode(&decoder, p, n, true, &packet), WISP_PACKET_FOUND);
		assert_int_equal(packet.destination.port, 65535);
		assert_int_equal(packet.destination.host_size, sizes[i]);
		assert_memory_equal(packet.destination.host, host, sizes[i]);
	}
}

static void
data_is_passed_through_as_it_comes(void **state)
{
	static struct wisp_packet_decoder decoder;
	struct wisp_packet packet;
	uint8_t message[] = "\x02\x05\x00\x00\x00hello";

	(void)state;
	wisp_packet_decoder_init(&decoder);
	assert_int_equal(wisp_packet_decode(&decoder, message, 3, false, &packet), WISP_PACKET_NONE);
	assert_int_equal(wisp_packet_decode(&decoder, message + 3, 4, false, &packet), WISP_PACKET_FOUND);
	assert_int_equal(packet.stream_id, 5);
	assert_int_equal(packet.size, 2);
	assert_ptr_equal(packet.data, message + 5);
	assert_true(packet.first);
	assert_false(packet.last);
	/* A piece without bytes changes nothing. */
	assert_int_equal(wisp_packet_decode(&decoder, message + 7, 0, false, &packet), WISP_PACKET_NONE);
	assert_int_equal(wisp_packet_decode(&decoder, message + 7, 3, true, &packet), WISP_PACKET_FOUND);
	assert_ptr_equal(packet.data, message + 7);
	assert_int_equal(packet.stream_id, 5);
	assert_false(packet.first);
	assert_true(packet.last);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_written_as_specified),
		cmocka_unit_test(reasons_have_texts),
		cmocka_unit_test(packets_are_read_one_after_another),
		cmocka_unit_test(odd_packets_are_read),
		cmocka_unit_test(bad_packets_are_refused),
		cmocka_unit_test(payloads_have_a_limit_except_for_data),
		cmocka_unit_test(hosts_go_through_whole),
		cmocka_unit_test(data_is_passed_through_as_it_comes),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
