#include "answer.h"

#include <string.h>
#include <strings.h>

#include "stranger.h"

/* The value of a header, or of its first one, or "" when it is not there or too long. */
static const char *
header(struct wisp_upgrade_text head, const char *name, char *text, size_t size)
{
	struct wisp_upgrade_text value;

	text[0] = '\0';
	if (wisp_upgrade_response_header(&head, name, &value) && value.n < size) {
		memcpy(text, value.p, value.n);
		text[value.n] = '\0';
	}
	return text;
}

static bool
has_header(struct wisp_upgrade_text head, const char *name)
{
	struct wisp_upgrade_text value;

	return wisp_upgrade_response_header(&head, name, &value) && value.n > 0;
}

/* Whether the lists of all headers of this name name a token. */
static bool
names(struct wisp_upgrade_text head, const char *name, const char *token)
{
	struct wisp_upgrade_text value;

	while (wisp_upgrade_response_header(&head, name, &value))
		if (wisp_upgrade_list_has(value.p, value.n, token))
			return true;
	return false;
}

/* An answer of which only its class says something. */
static void
judge_status_class(unsigned status, struct failure *failure)
{
	if ((status >= 200 && status < 300) || status == 511)
		failure_set(failure, FAILURE_PASSING,
			"the answer is a web page, not a WebSocket (HTTP %u); behind a login page? Log in with a "
			"browser, or check the URL's path",
			status);
	else if (status >= 500)
		failure_set(failure, FAILURE_PASSING,
			"the server reports an internal error (HTTP %u); if this lasts, ask its operator", status);
	else
		failure_set(failure, FAILURE_ANSWERED, "there is no WebSocket at this URL (HTTP %u); check its path",
			status);
}

/* Any other answer. What the user can do about it depends on the kind. */
static void
judge_status(unsigned status, struct failure *failure)
{
	switch (status) {
	case 0:
		stranger_answers(failure, "", 0);
		return;
	case 400:
		failure_set(failure, FAILURE_ANSWERED,
			"the server rejects the request (HTTP %u); check the URL, whether it is ws or wss, and "
			"whether the server wants a client certificate (--cert)",
			status);
		return;
	case 401:
	case 403:
	case 407:
		failure_set(failure, FAILURE_ANSWERED,
			"the server refuses access (HTTP %u); check the URL and the credentials", status);
		return;
	case 426:
		failure_set(failure, FAILURE_ANSWERED,
			"the server got no upgrade request (HTTP %u): a proxy in front of it must pass on Upgrade and "
			"Connection (nginx: proxy_http_version 1.1, and proxy_set_header for Upgrade and Connection)",
			status);
		return;
	case 502:
	case 503:
	case 504:
		failure_set(failure, FAILURE_PASSING,
			"the server, or the one behind it, is unavailable (HTTP %u); if this lasts, ask its operator",
			status);
		return;
	case 408:
	case 425:
	case 429:
		failure_set(failure, FAILURE_PASSING, "the server asks us to try again later (HTTP %u)", status);
		return;
	default:
		judge_status_class(status, failure);
	}
}

static bool
is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/*
 * Whether an answer of 101 is what it has to be. It has no body, whatever Content-Length and Transfer-Encoding say of
 * one (RFC 9110 section 15.2).
 */
static bool
is_upgrade(struct wisp_upgrade_text head, const char *key, bool offered, struct failure *failure)
{
	char expected[WISP_UPGRADE_ACCEPT_SIZE];
	char text[64];

	if (!wisp_upgrade_accept(key, expected) ||
		strcmp(header(head, "Sec-WebSocket-Accept", text, sizeof text), expected) != 0) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server's Sec-WebSocket-Accept is wrong, so this is no WebSocket server; check the URL");
		return false;
	}
	if (strcasecmp(header(head, "Upgrade", text, sizeof text), "websocket") != 0) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server upgrades to '%s' instead of websocket; check the URL", text);
		return false;
	}
	if (!names(head, "Connection", "Upgrade")) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server's Connection header does not name Upgrade: the server, or a proxy in front of it, "
			"does not pass it on; tell its operator");
		return false;
	}
	if (has_header(head, "Sec-WebSocket-Extensions")) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server uses a WebSocket extension that was not offered; tell its operator");
		return false;
	}
	if (has_header(head, "Sec-WebSocket-Protocol") &&
		(!offered || strcmp(header(head, "Sec-WebSocket-Protocol", text, sizeof text), ANSWER_PROTOCOL) != 0)) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server chose a subprotocol that was not offered; tell its operator");
		return false;
	}
	return true;
}

static void
judge(struct answer *answer, struct wisp_upgrade_text head, const char *key, bool offered, struct failure *failure)
{
	char server[32];

	answer->kind = ANSWER_NO;
	if (is_redirect(answer->status)) {
		header(head, "Location", answer->location, sizeof answer->location);
		answer->kind = ANSWER_REDIRECTS;
	} else if (strcmp(header(head, "Server", server, sizeof server), "wispsocks") == 0) {
		failure_set(failure, FAILURE_ANSWERED,
			"this is a wispsocks, at its SOCKS5 port: the URL must be the Wisp server's");
	} else if (answer->status != 101) {
		judge_status(answer->status, failure);
	} else if (is_upgrade(head, key, offered, failure)) {
		answer->kind = ANSWER_OPENS;
		answer->chose_protocol = has_header(head, "Sec-WebSocket-Protocol");
	}
}

/* 101 is the last of its kind: what follows it is not HTTP. */
static bool
is_interim(unsigned status)
{
	return status >= 100 && status < 200 && status != 101;
}

/* The head of an answer is complete. */
static void
take_head(struct answer *answer, struct wisp_upgrade_text head, const char *key, bool offered, struct failure *failure)
{
	answer->status = wisp_upgrade_response_status(head);
	answer->head = head;
	if (!is_interim(answer->status)) {
		judge(answer, head, key, offered, failure);
	} else if (++answer->interim_count > ANSWER_INTERIM_MAX) {
		answer->kind = ANSWER_NO;
		failure_set(failure, FAILURE_ANSWERED,
			"the server sends only interim answers (HTTP %u); tell its operator", answer->status);
	}
}

size_t
answer_take(struct answer *answer, const char *p, size_t n, const char *key, bool offered, struct failure *failure)
{
	size_t taken = 0;

	while (answer->kind == ANSWER_INCOMPLETE) {
		const size_t size = wisp_upgrade_response_size(p + taken, n - taken);

		if (!wisp_upgrade_response_begins(p + taken, n - taken)) {
			answer->kind = ANSWER_NO;
			stranger_answers(failure, p + taken, n - taken);
		} else if (size == 0) {
			break;
		} else {
			take_head(answer, (struct wisp_upgrade_text){p + taken, size}, key, offered, failure);
			taken += size;
		}
	}
	return taken;
}
