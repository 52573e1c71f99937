/*
 * Fuzz target: a server's answer to the upgrade, as the client judges it, and where it redirects to. The first byte
 * says whether the subprotocol was offered; the rest is the head of the answer. libwebsockets, which parses it, is
 * played by this file: it has taken the head apart, and knows the headers by name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <wisp/upgrade.h>

#include "answer.h"
#include "fuzz.h"
#include "url.h"

/* Section 1.3 of RFC 6455 has it, with its answer. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct lws {
	const char *status; /* the status line behind "HTTP/1.1 " */
	const char *headers;
};

/* The value of a header, which ends at the line's end; NULL when there is none. */
static const char *
find(const struct lws *wsi, enum lws_token_indexes token, size_t *n)
{
	static const struct {
		enum lws_token_indexes token;
		const char *name;
	} names[] = {
		{WSI_TOKEN_ACCEPT, "Sec-WebSocket-Accept: "},
		{WSI_TOKEN_UPGRADE, "Upgrade: "},
		{WSI_TOKEN_EXTENSIONS, "Sec-WebSocket-Extensions: "},
		{WSI_TOKEN_PROTOCOL, "Sec-WebSocket-Protocol: "},
		{WSI_TOKEN_HTTP_LOCATION, "Location: "},
		{WSI_TOKEN_HTTP_WWW_AUTHENTICATE, "WWW-Authenticate: "},
	};
	const char *line = token == WSI_TOKEN_HTTP ? wsi->status : wsi->headers;
	const char *name = "";

	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i].token == token)
			name = names[i].name;
	while (strncasecmp(line, name, strlen(name)) != 0) {
		line = strchr(line, '\n');
		if (line == NULL)
			return NULL;
		line++;
	}
	*n = strcspn(line, "\r\n") - strlen(name);
	return line + strlen(name);
}

int
lws_hdr_total_length(struct lws *wsi, enum lws_token_indexes token)
{
	size_t n = 0;

	find(wsi, token, &n);
	return (int)n;
}

int
lws_hdr_copy(struct lws *wsi, char *to, int size, enum lws_token_indexes token)
{
	size_t n = 0;
	const char *const value = find(wsi, token, &n);

	*to = '\0';
	if (value == NULL)
		return 0;
	if (n >= (size_t)size)
		return -1;
	memcpy(to, value, n);
	to[n] = '\0';
	return (int)n;
}

unsigned
lws_http_client_http_response(struct lws *wsi)
{
	return (unsigned)strtoul(wsi->status, NULL, 10);
}

static void
check_opened(struct lws *wsi, const struct answer *answer, bool offered)
{
	char text[64];

	must(answer->status == 101);
	must(lws_hdr_copy(wsi, text, sizeof text, WSI_TOKEN_ACCEPT) > 0 && strcmp(text, ACCEPT) == 0);
	must(lws_hdr_total_length(wsi, WSI_TOKEN_EXTENSIONS) == 0);
	must(offered || !answer->chose_protocol);
}

static void
follow(const struct answer *answer)
{
	struct url base, url;

	must(answer->status >= 301 && answer->status <= 308);
	must(url_parse("wss://wisp.example/wisp/", &base) == NULL);
	must(url_resolve(&base, answer->location, &url) != NULL || url.tls);
}

static void
judge(struct lws *wsi, bool offered)
{
	static struct answer answer;
	struct failure failure, withheld;

	failure_clear(&failure);
	failure_clear(&withheld);
	answer = (struct answer){.kind = ANSWER_NO};
	answer_judge(wsi, KEY, offered, &answer, &failure);
	must((answer.kind == ANSWER_NO) == (failure.kind != FAILURE_NONE));
	if (answer.kind == ANSWER_OPENS)
		check_opened(wsi, &answer, offered);
	if (answer.kind == ANSWER_REDIRECTS)
		follow(&answer);
	answer_look_for_withheld(wsi, &withheld);
	must(withheld.kind == FAILURE_NONE || strncmp(wsi->status, "401", 3) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char start[] = "HTTP/1.1 ";
	struct input input = {p, n};
	const bool offered = input_byte(&input) % 2;
	char *const head = input_text(&input);
	const bool http = strncmp(head, start, strlen(start)) == 0;
	struct lws wsi = {.status = http ? head + strlen(start) : head, .headers = head};

	judge(&wsi, offered);
	free(head);
	return 0;
}
