/* The HTTP upgrade: keys, requests that are good and those that are not, and the responses to them. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wisp/upgrade.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define PATH "/wisp/"

/* ---- keys ---- */

static void
accept_is_that_of_the_rfc(void **state)
{
	char accept[WISP_UPGRADE_ACCEPT_SIZE];
	char key[100];

	(void)state;
	assert_true(wisp_upgrade_accept(KEY, accept)); /* RFC 6455 section 1.3 */
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	memset(key, 'k', sizeof key);
	key[sizeof key - 1] = '\0';
	assert_false(wisp_upgrade_accept(key, accept));
}

static void
keys_are_new_each_time(void **state)
{
	char keys[100][WISP_UPGRADE_KEY_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		assert_true(wisp_upgrade_key(keys[i]));
		assert_int_equal(strlen(keys[i]), WISP_UPGRADE_KEY_SIZE - 1);
		assert_string_equal(keys[i] + WISP_UPGRADE_KEY_SIZE - 3, "==");
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(keys[i], keys[k]);
	}
}

/* ---- lists ---- */

static void
lists_are_searched_token_by_token(void **state)
{
	static const struct {
		const char *list;
		bool has;
	} cases[] = {
		{"Upgrade", true},
		{"keep-alive,uPGRADE", true},
		{" ,, Upgrade\t, close", true},
		{"", false},
		{"Upgrades", false},
		{"Up grade", false},
		{"x-Upgrade, close", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(wisp_upgrade_list_has(cases[i].list, strlen(cases[i].list), "Upgrade"), cases[i].has);
	assert_false(wisp_upgrade_list_has("Upgrade", 6, "Upgrade"));
}

/* ---- requests ---- */

/* Read a request from a block that is just as large as it. */
static size_t
parse(const char *p, size_t n, struct wisp_upgrade_request *request)
{
	uint8_t *const copy = exact_copy(p, n);
	const size_t size = wisp_upgrade_parse((const char *)copy, n, PATH, request);

	free(copy);
	return size;
}

/* A complete head gives the status, each part of it nothing, and what follows is left alone. */
static void
expect_status_of(const char *head, size_t n, int status, struct wisp_upgrade_request *request)
{
	struct buffer followed = {0};

	for (size_t part = 0; part < n; part++)
		assert_int_equal(parse(head, part, request), 0);
	assert_int_equal(parse(head, n, request), n);
	if (request->status != status)
		print_error("status %d, not %d, for:\n%s\n", request->status, status, head);
	assert_int_equal(request->status, status);
	buffer_put(&followed, head, n);
	buffer_printf(&followed, "\r\n\r\n\x82\x80");
	assert_int_equal(parse((const char *)followed.p, followed.n, request), n);
	assert_int_equal(request->status, status);
	buffer_free(&followed);
}

static void
expect_status(const char *head, int status)
{
	struct wisp_upgrade_request request;

	expect_status_of(head, strlen(head), status, &request);
	if (status == 101)
		assert_string_equal(request.key, KEY);
}

#define LINE(path) "GET " path " HTTP/1.1\r\nHost: wisp.example\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define KEY_LINE "Sec-WebSocket-Key: " KEY "\r\n"
#define REST UPGRADE CONNECTION VERSION KEY_LINE "\r\n"

static void
good_requests_are_taken(void **state)
{
	static const char *const heads[] = {
		LINE(PATH) REST,
		LINE(PATH "?") REST,
		LINE(PATH "?user=a/b?c") REST,
		/* Headers in any case, in any order, among others. */
		"GET /wisp/ HTTP/1.1\r\n" KEY_LINE "User-Agent: none\r\n" VERSION "X:\r\n" CONNECTION UPGRADE "\r\n",
		"GET /wisp/ HTTP/1.1\r\nUPGRADE: WebSocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
		"SEC-WEBSOCKET-KEY: " KEY "\r\n\r\n",
		/* Space around values. */
		"GET /wisp/ HTTP/1.1\r\nUpgrade:websocket\r\nConnection: \t Upgrade \t\r\nSec-WebSocket-Version:13 \r\n"
		"Sec-WebSocket-Key:\t" KEY "\t\r\n\r\n",
		/* Lists, and lists over several lines (RFC 9110 section 5.3). */
		LINE(PATH) UPGRADE "Connection: keep-alive, Upgrade\r\n" VERSION KEY_LINE "\r\n",
		LINE(PATH) UPGRADE "Connection: ,UPGRADE ,close\r\n" VERSION KEY_LINE "\r\n",
		LINE(PATH) "Upgrade: h2c,websocket\r\n" CONNECTION VERSION KEY_LINE "\r\n",
		LINE(PATH) UPGRADE CONNECTION "Connection: keep-alive\r\nUpgrade: h2c\r\n" VERSION KEY_LINE "\r\n",
		/* Absolute form. */
		LINE("http://wisp.example/wisp/") REST,
		LINE("HTTPS://wisp.example:443/wisp/?user=http://a/") REST,
		LINE("ws://user@[::1]:80/wisp/") REST,
		LINE("wss://w/wisp/") REST,
		/* A later minor version, and an empty line before the request (RFC 9112 sections 2.3 and 2.2). */
		"GET /wisp/ HTTP/1.2\r\n" REST,
		"\r\n" LINE(PATH) REST,
		"\n" LINE(PATH) REST,
		/* Bare LF, all through and mixed (RFC 9112 section 2.2). */
		"GET /wisp/ HTTP/1.1\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
		"Sec-WebSocket-Key: " KEY "\n\n",
		"GET /wisp/ HTTP/1.1\n" UPGRADE CONNECTION VERSION KEY_LINE "\n",
		"GET /wisp/ HTTP/1.1\r\n" UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: " KEY "\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(heads); i++)
		expect_status(heads[i], 101);
}

static void
bad_requests_are_refused(void **state)
{
	static const struct {
		int status;
		const char *head;
	} cases[] = {
		/* 400: not HTTP/1.1, or not in its form. */
		{400, "GET /wisp/ HTTP/1.1 \r\n" REST},
		{400, "GET  /wisp/ HTTP/1.1\r\n" REST},
		{400, "GET /wisp/\r\n" REST},
		{400, "GET\r\n" REST},
		{400, "GET wisp/ HTTP/1.1\r\n" REST},
		{400, "GET ? HTTP/1.1\r\n" REST},
		{400, "GET /wisp/ http/1.1\r\n" REST},
		{400, "GET /wisp/ HTTP/1.1\r\r\n" REST},
		{400, " GET /wisp/ HTTP/1.1\r\n" REST},
		{400, "\x16\x03\x01 TLS\r\n\r\n"},
		{400, "GET /wi\rsp/ HTTP/1.1\r\n" REST},
		{400, "GET /wi\tsp/ HTTP/1.1\r\n" REST},
		{400, "GET /wisp/ HTTP/1\r\n" REST},
		{400, "GET /wisp/ HTTP/1.x\r\n" REST},
		{400, "GET /wisp/ HTTP/11.1\r\n" REST},
		{400, "GET * HTTP/1.1\r\n" REST},
		{400, "G(T /wisp/ HTTP/1.1\r\n" REST},
		{400, "GET http:///wisp/ HTTP/1.1\r\n" REST},
		{400, "GET http:// HTTP/1.1\r\n" REST},
		{400, "GET http:/wisp/ HTTP/1.1\r\n" REST},
		{400, "GET ftp://wisp.example/wisp/ HTTP/1.1\r\n" REST},
		{400, "GET wisp.example:80 HTTP/1.1\r\n" REST},
		{400, "\r\n\r\n"},
		{400, "\n\n"},
		{400, LINE(PATH) "no colon\r\n" REST},
		{400, LINE(PATH) ": no name\r\n" REST},
		{400, LINE(PATH) "Space : x\r\n" REST},
		{400, LINE(PATH) "Folded: x\r\n y\r\n" REST},
		{400, LINE(PATH) "Folded: x\r\n\ty: z\r\n" REST},
		{400, LINE(PATH) "Bare-CR: x\ry\r\n" REST},
		{400, LINE(PATH) "Bare-CR: x\r\r\n" REST},
		{400, LINE(PATH) "\rBare-CR: x\r\n" REST},
		{400, LINE(PATH) "N\xc3\xa4me: x\r\n" REST},
		{400, LINE(PATH) "(name): x\r\n" REST},
		/* 400: the key. */
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE=\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25ja===\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbX.sZSBub25jZQ==\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbX sZSBub25jZQ==\r\n\r\n"},
		{400, LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: " KEY "=\r\n\r\n"},
		/* 405 goes before 404. */
		{405, "POST /wisp/ HTTP/1.1\r\n" REST},
		{405, "get /wisp/ HTTP/1.1\r\n" REST},
		{405, "DELETE /elsewhere HTTP/1.1\r\n\r\n"},
		{405, "CONNECT wisp.example:443 HTTP/1.1\r\n\r\n"},
		{505, "PRI * HTTP/2.0\r\n\r\n"},
		{505, "GET /wisp/ HTTP/0.9\r\n" REST},
		/* A malformed header goes before them all. */
		{400, "GET /elsewhere HTTP/1.1\r\nno colon\r\n\r\n"},
		{400, "GET /healthz HTTP/1.1\r\nFolded: x\r\n y\r\n\r\n"},
		{400, "POST /wisp/ HTTP/1.0\r\nSpace : x\r\n\r\n"},
		{404, LINE("/") REST},
		{404, LINE("/wisp") REST},
		{404, LINE("/wisp/x") REST},
		{404, LINE("/WISP/") REST},
		{404, LINE("/favicon.ico") "\r\n"},
		/* 426: no WebSocket, or one of another version. */
		{426, LINE(PATH) "\r\n"},
		{426, "GET /wisp/ HTTP/1.1\r\n\r\n"},
		{426, "GET /wisp/ HTTP/1.0\r\n" REST},
		{426, "GET /wisp/ HTTP/1.0\r\n\r\n"},
		{426, "HEAD /wisp/ HTTP/1.1\r\n" REST},
		{426, LINE(PATH) CONNECTION VERSION KEY_LINE "\r\n"},
		{426, LINE(PATH) UPGRADE VERSION KEY_LINE "\r\n"},
		{426, LINE(PATH) UPGRADE CONNECTION KEY_LINE "\r\n"},
		{426, LINE(PATH) UPGRADE CONNECTION KEY_LINE "Sec-WebSocket-Version: 8\r\n\r\n"},
		{426, LINE(PATH) UPGRADE CONNECTION KEY_LINE "Sec-WebSocket-Version: 133\r\n\r\n"},
		{426, LINE(PATH) UPGRADE CONNECTION KEY_LINE "Sec-WebSocket-Version: 1\r\n\r\n"},
		{426, LINE(PATH) "Upgrade: websockets\r\n" CONNECTION VERSION KEY_LINE "\r\n"},
		{426, LINE(PATH) "Upgrade: web socket\r\n" CONNECTION VERSION KEY_LINE "\r\n"},
		{426, LINE(PATH) UPGRADE "Connection: keep-alive\r\n" VERSION KEY_LINE "\r\n"},
		{426, LINE(PATH) "XUpgrade: websocket\r\n" CONNECTION VERSION KEY_LINE "\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_status(cases[i].head, cases[i].status);
}

static void
nul_is_refused(void **state)
{
	static const char in_value[] = LINE(PATH) "X: a\0b\r\n" REST, in_name[] = LINE(PATH) "X\0: b\r\n" REST,
			  in_target[] = "GET /wisp/\0 HTTP/1.1\r\n" REST;
	struct wisp_upgrade_request request;

	(void)state;
	expect_status_of(in_value, sizeof in_value - 1, 400, &request);
	expect_status_of(in_name, sizeof in_name - 1, 400, &request);
	expect_status_of(in_target, sizeof in_target - 1, 400, &request);
}

/* ---- requests that are answered well without being upgrades ---- */

/* What is answered to a request; `path` is the server's. */
static void
answer(const char *head, const char *path, char response[WISP_UPGRADE_RESPONSE_MAX + 1])
{
	struct wisp_upgrade_request request;

	assert_int_equal(wisp_upgrade_parse(head, strlen(head), path, &request), strlen(head));
	assert_int_equal(request.error == NULL, request.status < 400);
	response[wisp_upgrade_respond(&request, response)] = '\0';
}

static void
absolute_form_leads_to_its_path(void **state)
{
	static const struct {
		const char *target;
		const char *path;
		int status;
	} cases[] = {
		{"http://wisp.example", "/", 101},
		{"http://wisp.example?query", "/", 101},
		{"http://wisp.example/?query", "/", 101},
		{"http://wisp.example", "/wisp/", 404},
		{"http://wisp.example/wisp", "/wisp/", 404},
		{"http://wisp.example/healthz", "/", 200},
		/* Behind another scheme's look, a path is a path. */
		{"/http://wisp.example/", "/", 404},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wisp_upgrade_request request;
		char head[256];
		const int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\n" REST, cases[i].target);

		assert_int_equal(wisp_upgrade_parse(head, (size_t)n, cases[i].path, &request), n);
		assert_int_equal(request.status, cases[i].status);
	}
}

static void
probes_are_answered(void **state)
{
	static const struct {
		const char *head;
		const char *response; /* how it begins */
		const char *end;      /* and ends */
	} cases[] = {
		{"GET /healthz HTTP/1.1\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
			"\r\n\r\nok\n"},
		{"GET /healthz?x HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n", "\r\nConnection: close\r\n\r\nok\n"},
		{"HEAD /healthz HTTP/1.1\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n",
			"\r\nConnection: close\r\n\r\n"},
		{"HEAD /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n", "\r\nConnection: close\r\n\r\n"},
		{"HEAD /wisp/ HTTP/1.1\r\n\r\n", "HTTP/1.1 426 Upgrade Required\r\n",
			"\r\nConnection: Upgrade, close\r\n\r\n"},
		{"HEAD /wisp/ HTTP/1.0\r\n\r\n", "HTTP/1.0 426 Upgrade Required\r\n", "\r\nConnection: close\r\n\r\n"},
		{"GET /wisp/ HTTP/1.0\r\n\r\n", "HTTP/1.0 426 Upgrade Required\r\n", "over HTTP/1.1.\n"},
		{"HEAD / HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found\r\n", "\r\nConnection: close\r\n\r\n"},
		{"OPTIONS * HTTP/1.1\r\n\r\n",
			"HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\nConnection: close\r\n\r\n", ""},
		{"OPTIONS /wisp/ HTTP/1.0\r\n\r\n", "HTTP/1.0 204 No Content\r\n", "close\r\n\r\n"},
		{"OPTIONS / HTTP/1.0\r\n\r\n", "HTTP/1.0 404 Not Found\r\n", "over HTTP/1.1.\n"},
		{"PRI * HTTP/2.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n", "over HTTP/1.1.\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char response[WISP_UPGRADE_RESPONSE_MAX + 1];

		answer(cases[i].head, PATH, response);
		assert_memory_equal(response, cases[i].response, strlen(cases[i].response));
		assert_true(strlen(response) >= strlen(cases[i].end));
		assert_string_equal(response + strlen(response) - strlen(cases[i].end), cases[i].end);
	}
}

/* A head that comes in two pieces ends where it does in one; what was seen is not looked at again. */
static void
ends_are_found_in_pieces(void **state)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\nA: b\r\n\r\n",
		"GET / HTTP/1.1\nA: b\n\n",
		"GET / HTTP/1.1\r\nA: b\n\r\n",
		"\n\n",
		"\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(heads); i++)
		for (size_t n = strlen(heads[i]), seen = 0; seen < n; seen++) {
			uint8_t *const copy = exact_copy(heads[i], n);

			assert_int_equal(wisp_upgrade_head_size((const char *)copy, n, seen), n);
			assert_int_equal(wisp_upgrade_head_size((const char *)copy, n - 1, seen), 0);
			free(copy);
		}
	assert_int_equal(wisp_upgrade_head_size("\n\n\r\n", 4, 4), 0);
}

/* A head of n bytes, filled up by a long header. */
static char *
long_head(size_t n)
{
	static const char begin[] = LINE(PATH) "Filler: ", end[] = "\r\n" REST;
	char *const head = malloc(n + 1);

	assert_non_null(head);
	memset(head, 'x', n);
	memcpy(head, begin, sizeof begin - 1);
	memcpy(head + n - (sizeof end - 1), end, sizeof end);
	return head;
}

static void
heads_have_a_limit(void **state)
{
	struct wisp_upgrade_request request;
	char *const longest = long_head(WISP_UPGRADE_HEAD_MAX), *const too_long = long_head(WISP_UPGRADE_HEAD_MAX + 1);

	(void)state;
	assert_int_equal(parse(longest, WISP_UPGRADE_HEAD_MAX, &request), WISP_UPGRADE_HEAD_MAX);
	assert_int_equal(request.status, 101);
	for (size_t part = 0; part < WISP_UPGRADE_HEAD_MAX; part += 13)
		assert_int_equal(parse(longest, part, &request), 0);
	assert_int_equal(parse(longest, WISP_UPGRADE_HEAD_MAX - 1, &request), 0);

	/* It is refused as soon as it can only be too long, and not before. */
	assert_int_equal(parse(too_long, WISP_UPGRADE_HEAD_MAX - 1, &request), 0);
	for (size_t n = WISP_UPGRADE_HEAD_MAX; n <= WISP_UPGRADE_HEAD_MAX + 1; n++) {
		assert_int_not_equal(parse(too_long, n, &request), 0);
		assert_int_equal(request.status, 431);
	}
	free(longest);
	free(too_long);
}

/* ---- subprotocols ---- */

/* 63 and 64 characters. */
#define LONGEST "p23456789012345678901234567890123456789012345678901234567890123"
#define TOO_LONG LONGEST "4"

static void
first_subprotocol_is_taken(void **state)
{
	static const struct {
		const char *lines;
		bool has_protocol;
		const char *protocol;
	} cases[] = {
		{"", false, ""},
		{"Sec-WebSocket-Protocol: wisp-v2\r\n", true, "wisp-v2"},
		{"sec-websocket-protocol:\twisp-v2 , other\r\n", true, "wisp-v2"},
		{"Sec-WebSocket-Protocol: a,b\r\nSec-WebSocket-Protocol: c\r\n", true, "a"},
		{"Sec-WebSocket-Protocol: !#$%&'*+-.^_`|~09AZaz\r\n", true, "!#$%&'*+-.^_`|~09AZaz"},
		{"Sec-WebSocket-Protocol: " LONGEST "\r\n", true, LONGEST},
		/* It is there, but its name cannot be answered. */
		{"Sec-WebSocket-Protocol:\r\n", true, ""},
		{"Sec-WebSocket-Protocol: ,\r\n", true, ""},
		{"Sec-WebSocket-Protocol: " TOO_LONG "\r\n", true, ""},
		{"Sec-WebSocket-Protocol: two words\r\n", true, ""},
		{"Sec-WebSocket-Protocol: tab\tbed\r\n", true, ""},
		{"Sec-WebSocket-Protocol: \"quoted\"\r\n", true, ""},
		{"Sec-WebSocket-Protocol: a:b\r\n", true, ""},
		{"Sec-WebSocket-Protocol: \xc3\xa9\r\n", true, ""},
		{"Sec-WebSocket-Protocol: a\x7f\r\n", true, ""},
		{"Sec-WebSocket-Protocol: a\x01\r\n", true, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wisp_upgrade_request request;
		char response[WISP_UPGRADE_RESPONSE_MAX];
		char head[1024], expected[1024];
		const bool named = cases[i].protocol[0] != '\0';
		const int n = snprintf(head, sizeof head, LINE(PATH) "%s" REST, cases[i].lines);

		expect_status_of(head, (size_t)n, 101, &request);
		assert_int_equal(request.has_protocol, cases[i].has_protocol);
		assert_string_equal(request.protocol, cases[i].protocol);
		snprintf(expected, sizeof expected,
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n%s%s%s\r\n",
			named ? "Sec-WebSocket-Protocol: " : "", cases[i].protocol, named ? "\r\n" : "");
		assert_int_equal(wisp_upgrade_respond(&request, response), strlen(expected));
		assert_memory_equal(response, expected, strlen(expected));
	}
}

/* Whatever byte stands in the header, the response has the lines it should have, and no more. */
static void
headers_cannot_be_injected(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
		struct wisp_upgrade_request request;
		char response[WISP_UPGRADE_RESPONSE_MAX + 1];
		char head[1024];
		int lines = 0;
		const int n = snprintf(head, sizeof head,
			LINE(PATH) "Sec-WebSocket-Protocol: a%cInjected\r\nX: x\r\n" REST, (int)byte);
		const size_t size = parse(head, (size_t)n, &request);

		assert_int_equal(size, n);
		response[wisp_upgrade_respond(&request, response)] = '\0';
		for (const char *lf = response; (lf = strchr(lf, '\n')) != NULL; lf++)
			lines++;
		if (request.status == 101)
			assert_between(lines, 5, 6);
		assert_null(strstr(response, "\nInjected"));
	}
}

/* ---- refusals ---- */

static void
refusals_say_what_is_wrong(void **state)
{
	static const struct {
		int status;
		const char *line;
		const char *header; /* that has to be there */
	} cases[] = {
		{400, "HTTP/1.1 400 Bad Request\r\n", "\r\nConnection: close\r\n"},
		{404, "HTTP/1.1 404 Not Found\r\n", "\r\nConnection: close\r\n"},
		{405, "HTTP/1.1 405 Method Not Allowed\r\n", "\r\nAllow: GET, HEAD, OPTIONS\r\n"},
		{426, "HTTP/1.1 426 Upgrade Required\r\n", "\r\nSec-WebSocket-Version: 13\r\n"},
		{426, "HTTP/1.1 426 Upgrade Required\r\n", "\r\nUpgrade: websocket\r\n"},
		{426, "HTTP/1.1 426 Upgrade Required\r\n", "\r\nConnection: Upgrade, close\r\n"},
		{431, "HTTP/1.1 431 Request Header Fields Too Large\r\n", "\r\nConnection: close\r\n"},
		{503, "HTTP/1.1 503 Service Unavailable\r\n", "\r\nConnection: close\r\n"},
		{505, "HTTP/1.1 505 HTTP Version Not Supported\r\n", "\r\nConnection: close\r\n"},
		{500, "HTTP/1.1 500 Internal Server Error\r\n", "\r\nConnection: close\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wisp_upgrade_request request = {.status = cases[i].status};
		char response[WISP_UPGRADE_RESPONSE_MAX], length[40];
		const size_t n = wisp_upgrade_respond(&request, response);
		const char *body;

		assert_between(n, 1, sizeof response - 1);
		assert_int_equal(response[n], '\0');
		assert_int_equal(strlen(response), n);
		assert_memory_equal(response, cases[i].line, strlen(cases[i].line));
		assert_non_null(strstr(response, cases[i].header));
		body = strstr(response, "\r\n\r\n");
		assert_non_null(body);
		snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body + 4));
		assert_non_null(strstr(response, length));
	}
}

/* Base64 has its padding at the end, and nowhere else. */
static void
key_with_padding_inside_is_refused(void **state)
{
	(void)state;
	expect_status(LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNh=XBsZSBub25jZQ==\r\n\r\n", 400);
	expect_status(LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: ====IHNhbXBsZSBub25jZQ==\r\n\r\n", 400);
	expect_status(LINE(PATH) UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=Q\r\n\r\n", 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_is_that_of_the_rfc),
		cmocka_unit_test(keys_are_new_each_time),
		cmocka_unit_test(lists_are_searched_token_by_token),
		cmocka_unit_test(good_requests_are_taken),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(nul_is_refused),
		cmocka_unit_test(absolute_form_leads_to_its_path),
		cmocka_unit_test(probes_are_answered),
		cmocka_unit_test(ends_are_found_in_pieces),
		cmocka_unit_test(heads_have_a_limit),
		cmocka_unit_test(first_subprotocol_is_taken),
		cmocka_unit_test(headers_cannot_be_injected),
		cmocka_unit_test(refusals_say_what_is_wrong),
		cmocka_unit_test(key_with_padding_inside_is_refused),
	};

	return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
