#include "introduction.h"

#include <string.h>

#include "log.h"

#define MOTD_LINES_MAX 20
#define MOTD_LINE_MAX 200

struct wisp_client_options
introduction_options(
	const struct tunnel_options *options, const struct credentials *credentials, const struct route *route)
{
	const bool verified = route->url.tls && !options->tls.insecure;

	return (struct wisp_client_options){
		.versions = options->versions,
		.udp = options->udp,
		.confirm = options->confirm,
		.end_of_data = options->end_of_data,
		.trusted = (verified || options->credentials.unverified) && route_is_own_origin(route),
		.user = options->credentials.user,
		.password = credentials->password,
		.key = credentials->key,
	};
}

/* Why the server does not get the credentials that it asks for, and there are. */
static const char *
why_withheld(const struct route *route)
{
	if (!route_is_own_origin(route))
		return "they are not shown to a server that another one redirects to: give its own URL";
	return "they are only shown to one that TLS has verified: use wss:// without --insecure, or "
	       "--unverified-credentials";
}

/* The server wants credentials that it does not get. */
static void
judge_missing_credentials(const struct wisp_handshake *handshake, const struct tunnel_options *options,
	const struct route *route, struct failure *failure)
{
	const bool ours = handshake->close_reason != 0; /* it is we who said no, and why */

	if (options->versions == WISP_VERSION_1)
		failure_set(failure, FAILURE_ANSWERED,
			"the server requires credentials, which Wisp v1 cannot carry; leave out --wisp 1");
	else if (handshake->withheld)
		failure_set(failure, FAILURE_ANSWERED, "the server requires credentials; %s", why_withheld(route));
	else
		failure_set(failure, FAILURE_ANSWERED, "%s; give --user and --password-file, or --key",
			ours ? handshake->error : "the server requires credentials");
}

bool
introduction_judge_credentials(const struct wisp_handshake *handshake, const struct tunnel_options *options,
	const struct route *route, struct failure *failure)
{
	switch ((enum wisp_reason)handshake->reason) {
	case WISP_REASON_BAD_PASSWORD:
		failure_set(failure, FAILURE_ANSWERED,
			"the server refuses the user name or the password; check --user and --password-file");
		return true;
	case WISP_REASON_BAD_SIGNATURE:
		failure_set(failure, FAILURE_ANSWERED, "the server refuses the key; check --key");
		return true;
	case WISP_REASON_CREDENTIALS_REQUIRED:
		judge_missing_credentials(handshake, options, route, failure);
		return true;
	default:
		return false;
	}
}

/* What is wrong is the user's to change, unless it is no `fault` but bad luck. */
static void
judge_fault(enum wisp_handshake_fault fault, const struct tunnel_options *options, const char *error,
	struct failure *failure)
{
	switch (fault) {
	case WISP_FAULT_NOT_WISP:
		failure_set(
			failure, FAILURE_ANSWERED, "%s; check that the URL, with its path, is a Wisp server's", error);
		return;
	case WISP_FAULT_VERSION:
		failure_set(failure, FAILURE_ANSWERED, "%s; leave out --wisp %d", error, (int)options->versions);
		return;
	case WISP_FAULT_NONE:
		break;
	}
	failure_set(failure, FAILURE_PASSING, "%s", error);
}

bool
introduction_judge(const struct wisp_session *session, const struct tunnel_options *options, const struct route *route,
	struct failure *failure)
{
	const struct wisp_handshake *handshake = wisp_session_handshake(session);

	if (introduction_judge_credentials(handshake, options, route, failure))
		return true;
	if (handshake->reason == WISP_REASON_INCOMPATIBLE) {
		failure_set(failure, FAILURE_ANSWERED,
			"the server refuses our extensions; try --wisp 1, and check whether it requires credentials "
			"(--user, --key)");
		return true;
	}
	judge_fault(handshake->fault, options, wisp_session_error(session), failure);
	return false;
}

void
introduction_warn(const struct wisp_session *session, const struct route *route)
{
	if (wisp_session_handshake(session)->withheld)
		log_warning("the server asks for credentials; %s", why_withheld(route));
}

void
introduction_log_motd(const uint8_t *p, size_t n)
{
	const char *text = (const char *)p, *end;

	for (int lines = 0; n > 0 && lines < MOTD_LINES_MAX; lines++) {
		const size_t size = (end = memchr(text, '\n', n)) != NULL ? (size_t)(end - text) : n;
		const size_t shown = size > 0 && text[size - 1] == '\r' ? size - 1 : size;

		log_info("message of the day: %.*s", (int)(shown < MOTD_LINE_MAX ? shown : MOTD_LINE_MAX), text);
		text += end != NULL ? size + 1 : size;
		n -= end != NULL ? size + 1 : size;
	}
}
