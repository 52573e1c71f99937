/* The answer to the upgrade, as it comes: what opens the tunnel, what is passed over, and what is refused. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define LINE "HTTP/1.1 101 Switching Protocols\r\n"
#define FIELDS "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"

struct judged {
	struct answer answer;
	struct failure failure;
	size_t taken;
};

/* What is found in these bytes, which lie in a block that is just as large. */
static void
take(struct judged *judged, const char *bytes, size_t n, bool offered)
{
	uint8_t *const copy = exact_copy(bytes, n);

	memset(judged, 0, sizeof *judged);
	judged->taken = answer_take(&judged->answer, (const char *)copy, n, KEY, offered, &judged->failure);
	free(copy);
}

static void
good_answers_open_the_tunnel(void **state)
{
	static const char *const good[] = {
		LINE FIELDS "\r\n",
		"HTTP/1.1 101\r\n" FIELDS "\r\n",
		"HTTP/1.0 101 x\n"
		"upgrade:WebSocket\nCONNECTION:upgrade\nsec-websocket-accept:" ACCEPT "\n\n",
		/* no body, whatever is said of one */
		LINE FIELDS "Content-Length: 0\r\n\r\n",
		LINE FIELDS "Content-Length: 5\r\n\r\n",
		LINE FIELDS "Transfer-Encoding: chunked\r\n\r\n",
		/* white space around values */
		LINE "Upgrade: \twebsocket \t\r\nConnection:   Upgrade   \r\nSec-WebSocket-Accept:  " ACCEPT
		     "\t \r\n\r\n",
		/* lists, and several headers */
		LINE "Upgrade: websocket\r\nConnection: keep-alive\r\nconnection: x,UPGRADE , y\r\n"
		     "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
		LINE "Connection: close\r\nConnection: \r\n" FIELDS "\r\n",
		/* what comes before it */
		"HTTP/1.1 100 Continue\r\n\r\n" LINE FIELDS "\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nConnection: close\r\n\r\n"
		"HTTP/1.1 102 Processing\r\n\r\n" LINE FIELDS "\r\n",
		/* what is no header of theirs */
		LINE "no colon\r\n" FIELDS "\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct judged judged;

		take(&judged, good[i], strlen(good[i]), false);
		if (judged.answer.kind != ANSWER_OPENS)
			fail_msg("%s\n%s", good[i], judged.failure.reason);
		assert_int_equal(judged.taken, strlen(good[i]));
		assert_int_equal(judged.answer.status, 101);
		assert_false(judged.answer.chose_protocol);
	}
}

static void
what_is_behind_it_is_left(void **state)
{
	static const char bytes[] = LINE FIELDS "\r\nHTTP/1.1 200 OK\r\n\r\n";
	struct judged judged;

	(void)state;
	take(&judged, bytes, strlen(bytes), true);
	assert_int_equal(judged.answer.kind, ANSWER_OPENS);
	assert_int_equal(judged.taken, strlen(LINE FIELDS "\r\n"));
}

/* Byte by byte, it is judged when it is complete, and not before. */
static void
pieces_of_any_size(void **state)
{
	static const char bytes[] = "HTTP/1.1 103 Early Hints\r\n\r\n" LINE FIELDS "\r\n";
	struct answer answer = {.kind = ANSWER_INCOMPLETE};
	struct failure failure = {.kind = FAILURE_NONE};
	size_t taken = 0;

	(void)state;
	for (size_t n = 1; n < sizeof bytes; n++) {
		assert_int_equal(answer.kind, ANSWER_INCOMPLETE);
		taken += answer_take(&answer, bytes + taken, n - taken, KEY, false, &failure);
	}
	assert_int_equal(answer.kind, ANSWER_OPENS);
	assert_int_equal(failure.kind, FAILURE_NONE);
}

static void
subprotocols(void **state)
{
	static const struct {
		const char *fields;
		bool offered, opens, chose;
	} cases[] = {
		{"", true, true, false},
		{"Sec-WebSocket-Protocol: wisp-v2 \r\n", true, true, true},
		{"Sec-WebSocket-Protocol: wisp-v2\r\n", false, false, false},
		{"Sec-WebSocket-Protocol: other\r\n", true, false, false},
		{"Sec-WebSocket-Protocol:\r\n", false, true, false},
		{"Sec-WebSocket-Extensions: permessage-deflate\r\n", true, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char bytes[512];
		struct judged judged;

		snprintf(bytes, sizeof bytes, LINE FIELDS "%s\r\n", cases[i].fields);
		take(&judged, bytes, strlen(bytes), cases[i].offered);
		assert_int_equal(judged.answer.kind == ANSWER_OPENS, cases[i].opens);
		assert_int_equal(judged.answer.chose_protocol, cases[i].chose);
	}
}

static void
other_answers_are_told(void **state)
{
	static const struct {
		const char *bytes;
		unsigned status;
		enum failure_kind kind;
	} cases[] = {
		{LINE "\r\n", 101, FAILURE_ANSWERED},
		{LINE "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n", 101,
			FAILURE_ANSWERED},
		{LINE "Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n", 101,
			FAILURE_ANSWERED},
		{LINE "Upgrade: websocket\r\nConnection: Upgrades, x-Upgrade\r\nSec-WebSocket-Accept: " ACCEPT
		      "\r\n\r\n",
			101, FAILURE_ANSWERED},
		{"HTTP/1.1 404 Not Found\r\n\r\n", 404, FAILURE_ANSWERED},
		{"HTTP/1.1 401 x\r\nWWW-Authenticate: Basic\r\n\r\n", 401, FAILURE_ANSWERED},
		{"HTTP/1.1 503 x\r\n\r\n", 503, FAILURE_PASSING},
		{"HTTP/1.1 99 x\r\n\r\n", 0, FAILURE_ANSWERED},
		{"HTTP/1.1 1010 x\r\n\r\n", 0, FAILURE_ANSWERED},
		{"HTTP/1.1  101 x\r\n\r\n", 0, FAILURE_ANSWERED},
		{"HTTP/1.10 101 x\r\n\r\n", 0, FAILURE_ANSWERED},
		{"SSH-2.0-OpenSSH\r\n", 0, FAILURE_ANSWERED},
		{"HTTP/2", 0, FAILURE_ANSWERED},
		{"\r\n", 0, FAILURE_ANSWERED},
		{"HTTP/1.1 100 Continue\r\n\r\nx", 100, FAILURE_ANSWERED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct judged judged;

		take(&judged, cases[i].bytes, strlen(cases[i].bytes), false);
		assert_int_equal(judged.answer.kind, ANSWER_NO);
		assert_int_equal(judged.answer.status, cases[i].status);
		assert_int_equal(judged.failure.kind, cases[i].kind);
	}
}

static void
redirects_say_where_to(void **state)
{
	static const char there[] = "HTTP/1.1 302 Found\r\nContent-Length: 2\r\nlocation: \t/x \r\n\r\nhi";
	static const char nowhere[] = "HTTP/1.1 308 x\r\nLocation: /a\0b\r\nLocation:\r\n\r\n";
	struct judged judged;

	(void)state;
	take(&judged, there, sizeof there - 1, false);
	assert_int_equal(judged.answer.kind, ANSWER_REDIRECTS);
	assert_string_equal(judged.answer.location, "/x");
	take(&judged, nowhere, sizeof nowhere - 1, false);
	assert_int_equal(judged.answer.kind, ANSWER_REDIRECTS);
	assert_string_equal(judged.answer.location, "");
}

static void
interim_answers_have_a_limit(void **state)
{
	static const char interim[] = "HTTP/1.1 103 x\r\n\r\n";
	struct answer answer = {.kind = ANSWER_INCOMPLETE};
	struct failure failure = {.kind = FAILURE_NONE};

	(void)state;
	for (int i = 0; i < ANSWER_INTERIM_MAX; i++)
		assert_int_equal(answer_take(&answer, interim, strlen(interim), KEY, false, &failure), strlen(interim));
	assert_int_equal(answer.kind, ANSWER_INCOMPLETE);
	answer_take(&answer, interim, strlen(interim), KEY, false, &failure);
	assert_int_equal(answer.kind, ANSWER_NO);
	assert_int_equal(failure.kind, FAILURE_ANSWERED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_answers_open_the_tunnel),
		cmocka_unit_test(what_is_behind_it_is_left),
		cmocka_unit_test(pieces_of_any_size),
		cmocka_unit_test(subprotocols),
		cmocka_unit_test(other_answers_are_told),
		cmocka_unit_test(redirects_say_where_to),
		cmocka_unit_test(interim_answers_have_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
