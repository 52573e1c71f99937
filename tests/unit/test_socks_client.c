/* SOCKS5 and SOCKS4a as a client speaks them: what is asked, and what is read of each prefix of an answer. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <wisp/socks4.h>
#include <wisp/socks5.h>

/* ---- what is asked: the server's side reads it ---- */

static void
greetings_offer_what_there_is(void **state)
{
	uint8_t p[WISP_SOCKS5_GREETING_MAX];

	(void)state;
	assert_int_equal(wisp_socks5_greeting_encode(p, false), 3);
	assert_memory_equal(p, "\x05\x01\x00", 3);
	assert_int_equal(wisp_socks5_greeting_encode(p, true), 4);
	assert_memory_equal(p, "\x05\x02\x00\x02", 4);
}

static void
passwords_are_written(void **state)
{
	char text[WISP_SOCKS5_TEXT_MAX + 2];
	uint8_t p[WISP_SOCKS5_MESSAGE_MAX];

	(void)state;
	memset(text, 't', sizeof text);
	for (size_t user = 0; user < sizeof text; user += 64)
		for (size_t password = 0; password < sizeof text; password += 64) {
			const struct wisp_socks5_password written = {text, user, text, password};
			const size_t size = wisp_socks5_password_encode(p, &written);
			struct wisp_socks5_password read;
			size_t need;

			if (user > 255 || password > 255) {
				assert_int_equal(size, 0);
				continue;
			}
			assert_int_equal(wisp_socks5_password_decode(p, size, &need, &read), WISP_SOCKS5_OK);
			assert_int_equal(need, size);
			assert_int_equal(read.user_size, user);
			assert_int_equal(read.password_size, password);
			assert_memory_equal(read.password, text, password);
		}
}

/* The message is a request for this. */
static void
expect_request(const uint8_t *p, size_t size, uint8_t command, const char *host, uint16_t port)
{
	struct wisp_socks5_request request;
	size_t need;

	assert_int_equal(wisp_socks5_request_decode(p, size, &need, &request), WISP_SOCKS5_OK);
	assert_int_equal(need, size);
	assert_int_equal(request.command, command);
	assert_string_equal(request.destination.host, host);
	assert_int_equal(request.destination.port, port);
}

static void
requests_are_written(void **state)
{
	static const struct wisp_socks5_address v4 = {(const uint8_t *)"\xc0\x00\x02\x01", 4, 443},
						v6 = {(const uint8_t *)"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16,
							65535};
	uint8_t p[WISP_SOCKS5_MESSAGE_MAX];
	char name[WISP_SOCKS5_TEXT_MAX + 2];

	(void)state;
	expect_request(p, wisp_socks5_request_encode(p, WISP_SOCKS5_CONNECT, &v4), 1, "192.0.2.1", 443);
	expect_request(p, wisp_socks5_request_encode(p, WISP_SOCKS5_UDP_ASSOCIATE, &v6), 3, "2001:db8::1", 65535);
	memset(name, 'n', sizeof name);
	for (size_t n = 1; n <= WISP_SOCKS5_TEXT_MAX; n += 127) {
		const size_t size = wisp_socks5_request_encode_name(p, WISP_SOCKS5_CONNECT, name, n, 80);

		name[n] = '\0';
		expect_request(p, size, 1, name, 80);
		name[n] = 'n';
	}
	assert_int_equal(wisp_socks5_request_encode_name(p, WISP_SOCKS5_CONNECT, name, 0, 80), 0);
	assert_int_equal(wisp_socks5_request_encode_name(p, WISP_SOCKS5_CONNECT, name, 256, 80), 0);
}

static void
socks4_requests_are_written(void **state)
{
	static const struct wisp_socks4_request address = {.port = 80,
							.ipv4 = (const uint8_t *)"\xc0\x00\x02\x01",
							.user = ""},
						name = {.port = 0x1234, .name = "wisp.example", .user = "me"};
	uint8_t p[WISP_SOCKS4_REQUEST_MAX];

	(void)state;
	assert_int_equal(wisp_socks4_request_encode(p, &address), 9);
	assert_memory_equal(p, "\x04\x01\x00\x50\xc0\x00\x02\x01\x00", 9);
	assert_int_equal(wisp_socks4_request_encode(p, &name), 24);
	assert_memory_equal(p, "\x04\x01\x12\x34\x00\x00\x00\x01me\0wisp.example", 24);
}

static void
socks4_texts_have_a_limit(void **state)
{
	char text[WISP_SOCKS4_TEXT_MAX + 2];
	struct wisp_socks4_request request = {.name = text, .user = text};
	uint8_t *const p = must_alloc(WISP_SOCKS4_REQUEST_MAX);

	(void)state;
	memset(text, 't', sizeof text);
	text[WISP_SOCKS4_TEXT_MAX] = '\0';
	assert_int_equal(wisp_socks4_request_encode(p, &request), WISP_SOCKS4_REQUEST_MAX);
	text[WISP_SOCKS4_TEXT_MAX] = 't';
	text[WISP_SOCKS4_TEXT_MAX + 1] = '\0';
	request.user = "";
	assert_int_equal(wisp_socks4_request_encode(p, &request), 0);
	request = (struct wisp_socks4_request){.name = "name", .user = text};
	assert_int_equal(wisp_socks4_request_encode(p, &request), 0);
	free(p);
}

/* ---- what is answered ---- */

/* Decode the first n bytes, from a block of just that size. */
static enum wisp_socks5_result
decode_reply(const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_answer *answer)
{
	uint8_t *const copy = exact_copy(p, n);
	const enum wisp_socks5_result result = wisp_socks5_reply_decode(copy, n, need, answer);

	free(copy);
	return result;
}

static void
replies_are_read_at_any_split(void **state)
{
	static const struct {
		const uint8_t *p;
		size_t n;
		size_t size; /* of the reply; what follows is not its own */
		uint8_t reply;
		const char *host;
		uint16_t port;
	} cases[] = {
		{BYTES("\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38HTTP"), 10, 0, "127.0.0.1", 1080},
		{BYTES("\x05\x00\xff\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50H"), 22, 0, "::1", 80},
		{BYTES("\x05\x00\x00\x03\x04name\x00\x01\x05"), 11, 0, "name", 1},
		/* What the server uses is nobody's concern here, so a strange name is good enough. */
		{BYTES("\x05\x00\x00\x03\x00\x00\x01H"), 7, 0, "", 0},
		{BYTES("\x05\x00\x00\x03\x03n\x00m\x00\x01H"), 10, 0, "", 0},
		{BYTES("\x05\x05"), 2, 5, "", 0},
		{BYTES("\x05\x01\x00\x00"), 2, 1, "", 0},
		{BYTES("\x05\x99\x00\x01\x00\x00\x00\x00\x00\x00"), 2, 0x99, "", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wisp_socks5_answer answer;
		size_t need;

		for (size_t n = 0; n < cases[i].size; n++) {
			assert_int_equal(decode_reply(cases[i].p, n, &need, &answer), WISP_SOCKS5_MORE);
			assert_between(need, n + 1, cases[i].size);
		}
		for (size_t n = cases[i].size; n <= cases[i].n; n++) {
			assert_int_equal(decode_reply(cases[i].p, n, &need, &answer), WISP_SOCKS5_OK);
			assert_int_equal(need, cases[i].size);
			assert_int_equal(answer.reply, cases[i].reply);
			assert_string_equal(answer.bound.host, cases[i].host);
			assert_int_equal(answer.bound.port, cases[i].port);
		}
	}
}

static void
other_protocols_are_no_replies(void **state)
{
	struct wisp_socks5_answer answer;
	uint8_t byte;
	size_t need;
	bool good;

	(void)state;
	assert_int_equal(decode_reply(BYTES("H"), &need, &answer), WISP_SOCKS5_INVALID);
	assert_int_equal(decode_reply(BYTES("HTTP/1.1 400 Bad Request\r\n"), &need, &answer), WISP_SOCKS5_INVALID);
	assert_int_equal(decode_reply(BYTES("\x05\x00\x00\x02"), &need, &answer), WISP_SOCKS5_INVALID);
	assert_int_equal(wisp_socks5_method_reply_decode(BYTES("\x04"), &need, &byte), WISP_SOCKS5_INVALID);
	assert_int_equal(wisp_socks5_password_reply_decode(BYTES("\x05\x00"), &need, &good), WISP_SOCKS5_INVALID);
	assert_int_equal(wisp_socks4_reply_decode(BYTES("\x04"), &byte), WISP_SOCKS4_INVALID);
	assert_int_equal(
		wisp_socks4_reply_decode(BYTES("\x05\x00\x00\x00\x00\x00\x00\x00"), &byte), WISP_SOCKS4_INVALID);
}

static void
short_answers_are_read(void **state)
{
	uint8_t method;
	size_t need;
	bool good;

	(void)state;
	for (size_t n = 0; n < 2; n++) {
		assert_int_equal(
			wisp_socks5_method_reply_decode((const uint8_t *)"\x05", n, &need, &method), WISP_SOCKS5_MORE);
		assert_int_equal(need, 2);
		assert_int_equal(
			wisp_socks5_password_reply_decode((const uint8_t *)"\x01", n, &need, &good), WISP_SOCKS5_MORE);
		assert_int_equal(need, 2);
	}
	assert_int_equal(wisp_socks5_method_reply_decode(BYTES("\x05\xff\x05"), &need, &method), WISP_SOCKS5_OK);
	assert_int_equal(method, WISP_SOCKS5_METHOD_UNACCEPTABLE);
	assert_int_equal(need, 2);
	assert_int_equal(wisp_socks5_password_reply_decode(BYTES("\x01\x00"), &need, &good), WISP_SOCKS5_OK);
	assert_true(good);
	assert_int_equal(wisp_socks5_password_reply_decode(BYTES("\x01\x01"), &need, &good), WISP_SOCKS5_OK);
	assert_false(good);
}

static void
socks4_replies_are_read(void **state)
{
	static const uint8_t p[] = {0, WISP_SOCKS4_GRANTED, 0, 0, 0, 0, 0, 0, 'x'};
	uint8_t reply;

	(void)state;
	for (size_t n = 0; n < WISP_SOCKS4_REPLY_SIZE; n++)
		assert_int_equal(wisp_socks4_reply_decode(p, n, &reply), WISP_SOCKS4_MORE);
	assert_int_equal(wisp_socks4_reply_decode(p, sizeof p, &reply), WISP_SOCKS4_OK);
	assert_int_equal(reply, WISP_SOCKS4_GRANTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greetings_offer_what_there_is),
		cmocka_unit_test(passwords_are_written),
		cmocka_unit_test(requests_are_written),
		cmocka_unit_test(socks4_requests_are_written),
		cmocka_unit_test(socks4_texts_have_a_limit),
		cmocka_unit_test(replies_are_read_at_any_split),
		cmocka_unit_test(other_protocols_are_no_replies),
		cmocka_unit_test(short_answers_are_read),
		cmocka_unit_test(socks4_replies_are_read),
	};

	return cmocka_run_group_tests_name("socks_client", tests, NULL, NULL);
}
