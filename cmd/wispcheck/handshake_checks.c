/* How a connection begins: the upgrade, the versions, and what a server makes of what has no place there. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "greeting.h"
#include "handshake_checks.h"
#include "probe.h"
#include "reply.h"
#include "target.h"

/* Initial credit outside of this works, but not well, or is not meant. */
#define CREDIT_MIN 4
#define CREDIT_MAX 65536
/* How long to look whether a server says something that it should not say yet. */
#define HASTE_MS 300
#define HTTP_SWITCHING 101

/* ---- the upgrade ---- */

static void
check_upgrade(struct checker *checker, struct verdict *verdict)
{
	for (int offers = 0; offers < 2; offers++)
		if (!probe_open(checker->probe, &(struct probe_opening){.offers_v2 = offers != 0}))
			verdict_fail(verdict, "%s Sec-WebSocket-Protocol: %s", offers ? "with" : "without",
				probe_failure(checker->probe));
}

static void
check_subprotocol(struct checker *checker, struct verdict *verdict)
{
	if (!probe_open(checker->probe, &(struct probe_opening){.offers_v2 = true}))
		verdict_fail(verdict, "no connection: %s", probe_failure(checker->probe));
	else if (!probe_chose_subprotocol(checker->probe))
		verdict_warn(verdict, "it names none: browsers end a connection whose offer is not taken up");
}

/* ---- versions ---- */

/* What comes first, but for pings. Returns false when there is no connection. */
static bool
take_first(struct checker *checker, struct verdict *verdict, bool offers_v2, struct probe_event *event)
{
	if (!probe_open(checker->probe, &(struct probe_opening){.offers_v2 = offers_v2})) {
		verdict_fail(verdict, "no connection: %s", probe_failure(checker->probe));
		return false;
	}
	probe_next(checker->probe, event);
	if (event->kind == PROBE_PING)
		probe_next(checker->probe, event);
	return true;
}

static bool
judge_continue(struct verdict *verdict, const struct probe_event *event)
{
	if (!reply_is_packet(event, WISP_CONTINUE, WISP_CONNECTION))
		verdict_fail(verdict, "%s came first", probe_describe(event));
	else if (event->size < sizeof event->credit)
		verdict_fail(verdict, "a CONTINUE with only %zu bytes came", event->size);
	else if (event->size > sizeof event->credit)
		verdict_warn(
			verdict, "a CONTINUE with %zu bytes behind its 4 came", event->size - sizeof event->credit);
	return verdict->outcome != OUTCOME_FAIL;
}

static void
check_v1(struct checker *checker, struct verdict *verdict)
{
	struct probe_event event;

	if (!take_first(checker, verdict, false, &event))
		return;
	/* Version 1 has no way to show credentials. */
	if (reply_is_packet(&event, WISP_CLOSE, WISP_CONNECTION) && event.reason >= WISP_REASON_BAD_PASSWORD)
		verdict_note(verdict, "it refuses version 1, in which there are no credentials");
	else
		judge_continue(verdict, &event);
}

static void
check_v2(struct checker *checker, struct verdict *verdict)
{
	struct probe_event event;

	if (!take_first(checker, verdict, true, &event))
		return;
	if (checker->version == 1)
		judge_continue(verdict, &event);
	else if (!reply_is_packet(&event, WISP_INFO, WISP_CONNECTION))
		verdict_fail(verdict, "%s came first", probe_describe(&event));
}

/* That the server waits for the client's INFO, and answers it with CONTINUE. */
static void
check_order(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;
	struct probe_event event;

	if (!greeting_begin(checker, verdict, &greeting))
		return;
	probe_next_within(checker->probe, &event, HASTE_MS);
	if (event.kind != PROBE_SILENCE && event.kind != PROBE_PING) {
		verdict_fail(verdict, "%s came before the client's INFO", probe_describe(&event));
		return;
	}
	if (greeting_requires(&greeting))
		return; /* the checks of credentials see to it */
	greeting_answer(checker, NULL, 0);
	probe_next(checker->probe, &event);
	if (event.kind == PROBE_PING)
		probe_next(checker->probe, &event);
	judge_continue(verdict, &event);
}

static void
check_credit(struct checker *checker, struct verdict *verdict)
{
	uint32_t credit;

	if (!probe_begin(checker, verdict))
		return;
	credit = probe_handshake(checker->probe)->credit;
	if (credit == 0)
		verdict_fail(verdict, "it is 0: no client may send anything");
	else if (credit < CREDIT_MIN)
		verdict_warn(verdict, "it is %u: uploads wait for the server after every few packets", credit);
	else if (credit > CREDIT_MAX)
		verdict_warn(verdict, "it is %u: hardly any server can buffer so much for each stream", credit);
	else
		verdict_note(verdict, "it is %u", credit);
}

/* ---- what has no place ---- */

/* What came of an INFO that a server need not take. */
static void
judge_refusal(struct checker *checker, struct verdict *verdict, const struct probe_event *event, const char *what)
{
	uint16_t status;

	if (reply_is_packet(event, WISP_CONTINUE, WISP_CONNECTION)) {
		if (verdict->outcome == OUTCOME_PASS) /* the first is the one to tell */
			verdict_warn(verdict, "%s was accepted", what);
	} else if (reply_is_packet(event, WISP_CLOSE, WISP_CONNECTION)) {
		if (event->reason != WISP_REASON_INCOMPATIBLE && event->reason < WISP_REASON_BAD_PASSWORD)
			verdict_note(verdict, "%s was answered with %s", what, probe_describe(event));
		if (!reply_await_end(checker, &status))
			verdict_fail(verdict, "%s was answered with CLOSE, but the WebSocket stays open", what);
	} else if (!reply_is_end(event)) {
		verdict_fail(verdict, "%s was neither accepted nor refused: %s came", what, probe_describe(event));
	}
	reply_expect_service(checker, verdict, what);
}

static void
check_bad_info(struct checker *checker, struct verdict *verdict)
{
	static const struct {
		const char *what;
		uint8_t payload[8];
		size_t size;
	} cases[] = {
		{"an INFO without a version", {0}, 0},
		{"an INFO with half a version", {2}, 1},
		{"an INFO whose extension ends in its length", {2, 0, WISP_EXTENSION_UDP, 0, 0}, 5},
		{"an INFO whose extension runs over its end", {2, 0, WISP_EXTENSION_UDP, 100, 0, 0, 0, 7}, 8},
		{"an INFO whose extension has a length of 4 GiB", {2, 0, WISP_EXTENSION_UDP, 255, 255, 255, 255}, 7},
	};
	static struct greeting greeting;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct probe_event event;

		if (!greeting_begin(checker, verdict, &greeting))
			return;
		probe_send_packet(checker->probe, WISP_INFO, WISP_CONNECTION, cases[i].payload, cases[i].size);
		probe_next(checker->probe, &event);
		judge_refusal(checker, verdict, &event, cases[i].what);
	}
}

/* Version 2 is what both sides have settled on: another one is the client's error, which a server may overlook. */
static void
check_other_version(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t versions[] = {0, 1, 255};
	static struct greeting greeting;

	for (size_t i = 0; i < sizeof versions; i++) {
		const uint8_t payload[] = {versions[i], 0};
		struct probe_event event;
		char what[40];

		if (!greeting_begin(checker, verdict, &greeting))
			return;
		snprintf(what, sizeof what, "an INFO of version %u", versions[i]);
		probe_send_packet(checker->probe, WISP_INFO, WISP_CONNECTION, payload, sizeof payload);
		probe_next(checker->probe, &event);
		if (reply_is_packet(&event, WISP_CONTINUE, WISP_CONNECTION)) {
			verdict_note(verdict, "%s was accepted", what);
			reply_expect_service(checker, verdict, what);
		} else {
			judge_refusal(checker, verdict, &event, what);
		}
	}
}

static void
check_unknown_extension(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t data[] = "unknown";
	const struct wisp_extension extension = {0x7e, data, sizeof data - 1};
	static struct greeting greeting;
	struct probe_event event;

	if (!greeting_begin_open(checker, verdict, &greeting))
		return;
	greeting_answer(checker, &extension, 1);
	probe_next(checker->probe, &event);
	if (!reply_is_packet(&event, WISP_CONTINUE, WISP_CONNECTION))
		verdict_warn(verdict, "%s came", probe_describe(&event));
	reply_expect_service(checker, verdict, "an INFO with an unknown extension");
}

/* A CONNECT before the handshake is done has to lead nowhere: least of all past the credentials. */
static void
check_early_connect(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;
	struct probe_event event;

	if (!greeting_begin(checker, verdict, &greeting))
		return;
	if (checker->targets != NULL) {
		probe_send_connect(
			checker->probe, 1, WISP_TCP, checker->targets->host, checker->targets->tcp[TARGET_ECHO]);
		probe_send_packet(checker->probe, WISP_DATA, 1, "early", 5);
	} else {
		probe_send_connect(checker->probe, 1, WISP_TCP, "wispcheck.invalid", 80);
	}
	reply_await_within(checker, 1, &event, checker->timeout_ms / 2);
	if (reply_is_packet(&event, WISP_DATA, 1) && greeting_requires(&greeting))
		verdict_fail(verdict, "the stream was opened, without the credentials that are required");
	else if (reply_is_packet(&event, WISP_DATA, 1))
		verdict_warn(verdict, "the stream was opened");
	else
		verdict_note(verdict, "%s came", probe_describe(&event));
	reply_expect_service(checker, verdict, "a CONNECT before the client's INFO");
}

/* ---- other requests ---- */

/* What people see who open the URL in a browser, and a CI that waits for the server to come up. */
static void
check_plain_request(struct checker *checker, struct verdict *verdict)
{
	unsigned status;

	probe_open(checker->probe, &(struct probe_opening){.plain = true});
	status = probe_status(checker->probe);
	if (status == 0)
		verdict_warn(verdict, "no answer: %s", probe_failure(checker->probe));
	else if (status == HTTP_SWITCHING)
		verdict_warn(verdict, "it is answered with HTTP %u", status);
	else
		verdict_note(verdict, "it is answered with HTTP %u", status);
	reply_expect_service(checker, verdict, "a request for no WebSocket");
}

/* Open a path, and say whether Wisp is spoken there. */
static bool
speaks_wisp(struct checker *checker, const char *path)
{
	struct probe_event event;

	if (!probe_open(checker->probe, &(struct probe_opening){.path = path}))
		return false;
	probe_next_within(checker->probe, &event, checker->timeout_ms / 2);
	return reply_is_packet(&event, WISP_CONTINUE, WISP_CONNECTION);
}

/*
 * The server may ignore the path's prefix, or ask for a certain one. A path that does not end in "/" is a wsproxy's,
 * which we do not ask to go anywhere: there is no port in it.
 */
static void
check_path(struct checker *checker, struct verdict *verdict)
{
	const char *base = checker->options->servers[0].path;
	char path[sizeof checker->options->servers[0].path + 32];

	snprintf(path, sizeof path, "%.*swispcheck-nowhere/", (int)strcspn(base, "?"), base);
	if (speaks_wisp(checker, path))
		verdict_note(verdict, "it takes any path");
	else
		verdict_note(verdict, "there is no Wisp at another path (HTTP %u)", probe_status(checker->probe));
	snprintf(path, sizeof path, "%.*swispcheck-nowhere", (int)strcspn(base, "?"), base);
	if (speaks_wisp(checker, path))
		verdict_note(verdict, "it takes any path, even without a final \"/\", which is a wsproxy's");
	reply_expect_service(checker, verdict, "a request for another path");
}

const struct check handshake_checks[] = {
	{"handshake/upgrade", "RFC 6455 section 4.2.2; Wisp: HTTP Behavior",
		"the upgrade is answered with 101, the right Sec-WebSocket-Accept, and nothing that was not asked for",
		0, check_upgrade},
	{"handshake/subprotocol", "RFC 6455 section 4.2.2", "a subprotocol that the client offers is taken up", 0,
		check_subprotocol},
	{"handshake/v1-first-packet", "Wisp: Establishing a Websocket Connection",
		"without Sec-WebSocket-Protocol, the first packet is CONTINUE of stream 0", 0, check_v1},
	{"handshake/v2-first-packet", "Wisp v2: Handshake Steps",
		"with Sec-WebSocket-Protocol, the first packet is INFO of stream 0, or CONTINUE from a server of "
		"version 1",
		0, check_v2},
	{"handshake/v2-order", "Wisp v2: Handshake Steps",
		"the server waits for the client's INFO, and accepts it with CONTINUE of stream 0", NEEDS_V2,
		check_order},
	{"handshake/credit", "Wisp: Packet Types, CONTINUE", "the initial credit lets a client send", 0, check_credit},
	{"handshake/info-version", "Wisp v2: Packet Types, INFO", "INFO names version 2", NEEDS_V2, check_info_version},
	{"handshake/info-extensions", "Wisp v2: Protocol Extensions, Common Format",
		"the extensions of INFO fill it to its end, each once", NEEDS_V2, check_info_extensions},
	{"handshake/extension-udp", "Wisp v2: Protocol Extensions, UDP", "it has no payload", NEEDS_V2,
		check_extension_udp},
	{"handshake/extension-password", "Wisp v2: Protocol Extensions, Password Authentication",
		"its payload is whether it is required", NEEDS_V2, check_extension_password},
	{"handshake/extension-key", "Wisp v2: Protocol Extensions, Public/Private Key Authentication",
		"its payload is whether it is required, the algorithms and a challenge, new for each connection",
		NEEDS_V2, check_extension_key},
	{"handshake/extension-motd", "Wisp v2: Protocol Extensions, Server MOTD", "its payload is text in UTF-8",
		NEEDS_V2, check_extension_motd},
	{"handshake/extension-confirmation", "Wisp v2: Protocol Extensions, Stream Open Confirmation",
		"it has no payload, and a stream that was opened is confirmed with CONTINUE", NEEDS_V2,
		check_extension_confirmation},
	{"handshake/credentials-accepted", "Wisp v2: Note on Authentication Behavior",
		"the credentials that were given are accepted", NEEDS_V2 | NEEDS_CREDENTIALS,
		check_credentials_accepted},
	{"handshake/credentials-missing", "Wisp v2: Client/Server Close Reasons",
		"without required credentials, the connection ends with reason 0xc2", NEEDS_V2,
		check_credentials_missing},
	{"handshake/wrong-password", "Wisp v2: Protocol Extensions, Password Authentication",
		"with a wrong password, the connection ends with reason 0xc0", NEEDS_V2, check_wrong_password},
	{"handshake/wrong-key", "Wisp v2: Protocol Extensions, Public/Private Key Authentication",
		"with a wrong key, the connection ends with reason 0xc1", NEEDS_V2, check_wrong_key},
	{"handshake/bad-info", "Wisp v2: Handshake Steps",
		"a malformed INFO is refused, with CLOSE of stream 0 or the end of the connection", NEEDS_V2,
		check_bad_info},
	{"handshake/other-version", "Wisp v2: Handshake Steps",
		"an INFO of another version is accepted, or refused with the end of the connection", NEEDS_V2,
		check_other_version},
	{"handshake/unknown-extension", "Wisp v2: Handshake Steps",
		"an extension that the server does not have is passed over", NEEDS_V2, check_unknown_extension},
	{"handshake/early-connect", "Wisp v2: Handshake Steps", "no stream is opened before the client's INFO",
		NEEDS_V2, check_early_connect},
	{"handshake/plain-request", "RFC 6455 section 4.2.1",
		"a request that asks for no WebSocket is answered, and not with 101", 0, check_plain_request},
	{"handshake/path", "Wisp: Choosing a Websocket URL",
		"a request for another path, with and without a final \"/\", does no harm", 0, check_path},
	{0},
};
