#include "answer.h"

#include <string.h>
#include <strings.h>

#include <wisp/upgrade.h>

/* A header of the response, or "" when it is not there or too long. */
static const char *
header(struct lws *wsi, enum lws_token_indexes token, char *text, int size)
{
	if (lws_hdr_copy(wsi, text, size, token) <= 0)
		text[0] = '\0';
	return text;
}

/* Any other answer. What the user can do about it depends on the kind. */
static void
judge_status(unsigned status, struct failure *failure)
{
	switch (status) {
	case 0:
		failure_set(failure, FAILURE_ANSWERED, "what answers does not speak HTTP; check the port");
		return;
	case 400:
		failure_set(failure, FAILURE_ANSWERED,
			"the server does not like the request (HTTP %u); check the URL, whether it is ws or wss, and "
			"whether the server wants a client certificate (--cert)",
			status);
		return;
	case 401:
	case 403:
	case 407:
		failure_set(failure, FAILURE_ANSWERED,
			"the server refuses access (HTTP %u); check the URL and the credentials", status);
		return;
	case 408:
	case 425:
	case 429:
		failure_set(failure, FAILURE_PASSING, "the server asks to come back later (HTTP %u)", status);
		return;
	default:
		break;
	}
	if (status >= 500)
		failure_set(failure, FAILURE_PASSING, "the server is out of order (HTTP %u)", status);
	else
		failure_set(failure, FAILURE_ANSWERED, "there is no WebSocket at this URL (HTTP %u); check its path",
			status);
}

static bool
is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Whether an answer of 101 is what it has to be. */
static bool
is_upgrade(struct lws *wsi, const char *key, bool offered, struct failure *failure)
{
	char expected[WISP_UPGRADE_ACCEPT_SIZE];
	char text[64], connection[256];

	if (!wisp_upgrade_accept(key, expected) ||
		strcmp(header(wsi, WSI_TOKEN_ACCEPT, text, sizeof text), expected) != 0) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server's Sec-WebSocket-Accept is wrong: this is no WebSocket server");
		return false;
	}
	if (strcasecmp(header(wsi, WSI_TOKEN_UPGRADE, text, sizeof text), "websocket") != 0) {
		failure_set(failure, FAILURE_ANSWERED, "the server upgrades to '%s' instead of websocket", text);
		return false;
	}
	header(wsi, WSI_TOKEN_CONNECTION, connection, sizeof connection);
	if (!wisp_upgrade_list_has(connection, strlen(connection), "Upgrade")) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server's Connection header does not name Upgrade: it, or a proxy before it, upgrades "
			"nothing");
		return false;
	}
	if (lws_hdr_total_length(wsi, WSI_TOKEN_EXTENSIONS) > 0) {
		failure_set(failure, FAILURE_ANSWERED, "the server uses a WebSocket extension that was not offered");
		return false;
	}
	if (lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0 &&
		(!offered || strcmp(header(wsi, WSI_TOKEN_PROTOCOL, text, sizeof text), ANSWER_PROTOCOL) != 0)) {
		failure_set(failure, FAILURE_ANSWERED, "the server chose a subprotocol that was not offered");
		return false;
	}
	return true;
}

void
answer_judge(struct lws *wsi, const char *key, bool offered, struct answer *answer, struct failure *failure)
{
	answer->kind = ANSWER_NO;
	answer->status = lws_http_client_http_response(wsi);
	if (is_redirect(answer->status)) {
		header(wsi, WSI_TOKEN_HTTP_LOCATION, answer->location, sizeof answer->location);
		answer->kind = ANSWER_REDIRECTS;
	} else if (answer->status != 101) {
		judge_status(answer->status, failure);
	} else if (is_upgrade(wsi, key, offered, failure)) {
		answer->kind = ANSWER_OPENS;
		answer->chose_protocol = lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) > 0;
	}
}

void
answer_look_for_withheld(struct lws *wsi, struct failure *failure)
{
	char text[256];

	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_WWW_AUTHENTICATE) > 0 &&
		strncmp(header(wsi, WSI_TOKEN_HTTP, text, sizeof text), "401", 3) == 0)
		judge_status(401, failure);
}
