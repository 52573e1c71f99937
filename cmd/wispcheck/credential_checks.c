/* Whom a server lets in. Only credentials that are certainly wrong are made up here; the right ones are probe.c's. */
#include <stdio.h>
#include <string.h>

#include <wisp/key.h>

#include "greeting.h"
#include "handshake_checks.h"
#include "probe.h"
#include "reply.h"

#define ED25519 0x01
#define KEY_ANSWER_SIZE (1 + WISP_KEY_HASH_SIZE + WISP_KEY_SIGNATURE_SIZE)

void
check_credentials_accepted(struct checker *checker, struct verdict *verdict)
{
	const struct wisp_handshake *handshake = probe_handshake(checker->probe);
	const bool opened = probe_open(checker->probe, &(struct probe_opening){.offers_v2 = true});
	const bool accepted = opened && probe_greet(checker->probe);

	if (opened && handshake->withheld)
		verdict_skip(verdict, "they are only shown to a server that TLS has verified");
	else if (opened && handshake->credentials == WISP_CREDENTIALS_NONE)
		verdict_skip(verdict, "the server does not ask for the kind that was given");
	else if (!accepted)
		verdict_fail(verdict, "%s", probe_failure(checker->probe));
}

/* The client's INFO has been answered; this is what came. */
static void
judge(struct checker *checker, struct verdict *verdict, enum wisp_reason reason, const char *what)
{
	struct probe_event event;
	uint16_t status;
	bool let_in = false;

	probe_next(checker->probe, &event);
	/* Some say CONTINUE before they look. */
	if (reply_is_packet(&event, WISP_CONTINUE, WISP_CONNECTION)) {
		let_in = true;
		probe_next(checker->probe, &event);
	}
	if (event.kind == PROBE_SILENCE && let_in)
		verdict_fail(verdict, "the client is let in");
	else if (reply_is_end(&event))
		verdict_fail(verdict, "%s came, without the reason", probe_describe(&event));
	else if (!reply_is_packet(&event, WISP_CLOSE, WISP_CONNECTION))
		verdict_fail(verdict, "%s came", probe_describe(&event));
	else if (let_in)
		verdict_fail(verdict, "CONTINUE came before the refusal");
	else if (event.reason != (uint8_t)reason)
		verdict_fail(verdict, "the reason is 0x%02x (%s)", event.reason, wisp_reason_text(event.reason));
	else if (!reply_await_end(checker, &status))
		verdict_fail(verdict, "the WebSocket stays open");
	reply_expect_service(checker, verdict, what);
}

void
check_credentials_missing(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;

	if (!greeting_begin(checker, verdict, &greeting))
		return;
	if (!greeting_requires(&greeting)) {
		verdict_skip(verdict, "the server does not require any");
		return;
	}
	greeting_answer(checker, NULL, 0);
	judge(checker, verdict, WISP_REASON_CREDENTIALS_REQUIRED, "a client without credentials");
}

/* Answer with one extension, if the server has it. */
static void
try(struct checker *checker, struct verdict *verdict, const struct wisp_extension *answer, enum wisp_reason reason,
	const char *what)
{
	static struct greeting greeting;
	struct wisp_extension extension;

	if (!greeting_begin(checker, verdict, &greeting))
		return;
	if (!greeting_find(&greeting, (enum wisp_extension_id)answer->id, &extension)) {
		verdict_skip(verdict, "the server does not ask for it");
		return;
	}
	greeting_answer(checker, answer, 1);
	judge(checker, verdict, reason, what);
}

void
check_wrong_password(struct checker *checker, struct verdict *verdict)
{
	static const uint8_t data[] = "\x09wispcheckwrong";
	const struct wisp_extension answer = {WISP_EXTENSION_PASSWORD, data, sizeof data - 1};

	try(checker, verdict, &answer, WISP_REASON_BAD_PASSWORD, "a client with a wrong password");
}

void
check_wrong_key(struct checker *checker, struct verdict *verdict)
{
	/* No key has a hash of zeros. */
	static const uint8_t data[KEY_ANSWER_SIZE] = {ED25519};
	const struct wisp_extension answer = {WISP_EXTENSION_KEY, data, sizeof data};

	try(checker, verdict, &answer, WISP_REASON_BAD_SIGNATURE, "a client with a wrong key");
}
