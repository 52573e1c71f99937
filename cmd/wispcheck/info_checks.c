/* What a server's INFO says: its version, and each extension's payload. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "greeting.h"
#include "handshake_checks.h"
#include "probe.h"
#include "reply.h"
#include "target.h"
#include "utf8.h"

#define MAJOR 2
#define VERSION_SIZE 2
/* A server's key extension: whether it is required, the algorithms, the challenge. */
#define KEY_HEADER_SIZE 2
#define ED25519 0x01
/* "Around 512 bits": half of that is still a challenge. */
#define CHALLENGE_MIN 32

void
check_info_version(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;

	if (!greeting_begin(checker, verdict, &greeting))
		return;
	if (greeting.info[0] < MAJOR)
		verdict_fail(verdict, "it names version %u.%u", greeting.info[0], greeting.info[1]);
	else if (greeting.info[0] > MAJOR)
		verdict_warn(verdict, "it names version %u.%u", greeting.info[0], greeting.info[1]);
	else
		verdict_note(verdict, "%u.%u", greeting.info[0], greeting.info[1]);
}

static const char *
extension_name(uint8_t id)
{
	static const char *const names[] = {NULL, "UDP", "password", "key", "MOTD", "confirmation"};

	if (id == WISP_EXTENSION_END_OF_DATA)
		return "end of data";
	return id < sizeof names / sizeof *names ? names[id] : NULL;
}

void
check_info_extensions(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;
	struct wisp_extension extension;
	bool seen[UINT8_MAX + 1] = {false};
	const uint8_t *p = greeting.info + VERSION_SIZE;
	char list[160] = "none";
	size_t n, size = 0;

	if (!greeting_begin(checker, verdict, &greeting))
		return;
	n = greeting.size - VERSION_SIZE;
	while (wisp_extension_next(&p, &n, &extension)) {
		const char *name = extension_name(extension.id);

		if (seen[extension.id])
			verdict_warn(verdict, "extension 0x%02x stands there twice", extension.id);
		else if (size < sizeof list)
			size += (size_t)snprintf(list + size, sizeof list - size, "%s0x%02x%s%s", size > 0 ? ", " : "",
				extension.id, name != NULL ? " " : "", name != NULL ? name : "");
		seen[extension.id] = true;
	}
	if (n > 0)
		verdict_fail(verdict, "its last %zu bytes are no extension that fits", n);
	verdict_note(verdict, "%s", list);
}

/* Greet, and find an extension. Returns false, with the verdict said, when there is none. */
static bool
find(struct checker *checker, struct verdict *verdict, enum wisp_extension_id id, struct greeting *greeting,
	struct wisp_extension *extension)
{
	if (!greeting_begin(checker, verdict, greeting))
		return false;
	if (greeting_find(greeting, id, extension))
		return true;
	verdict_skip(verdict, "the server does not have it");
	return false;
}

void
check_extension_udp(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;
	struct wisp_extension extension;

	if (find(checker, verdict, WISP_EXTENSION_UDP, &greeting, &extension) && extension.size != 0)
		verdict_fail(verdict, "its payload has %zu bytes", extension.size);
}

/* A boolean: one that is neither 0 nor 1 is taken for true. */
static void
judge_flag(struct verdict *verdict, uint8_t flag)
{
	if (flag > 1)
		verdict_warn(verdict, "whether it is required is said by 0x%02x", flag);
	else
		verdict_note(verdict, flag ? "required" : "not required");
}

void
check_extension_password(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;
	struct wisp_extension extension;

	if (!find(checker, verdict, WISP_EXTENSION_PASSWORD, &greeting, &extension))
		return;
	if (extension.size != 1)
		verdict_fail(verdict, "its payload has %zu bytes", extension.size);
	else
		judge_flag(verdict, extension.data[0]);
}

void
check_extension_key(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting, second;
	struct wisp_extension extension, other;

	if (!find(checker, verdict, WISP_EXTENSION_KEY, &greeting, &extension))
		return;
	if (extension.size <= KEY_HEADER_SIZE) {
		verdict_fail(verdict, "its payload has %zu bytes: no challenge", extension.size);
		return;
	}
	judge_flag(verdict, extension.data[0]);
	if ((extension.data[1] & ED25519) == 0)
		verdict_warn(verdict, "Ed25519 is not among the algorithms, 0x%02x", extension.data[1]);
	if (extension.size < KEY_HEADER_SIZE + CHALLENGE_MIN)
		verdict_warn(verdict, "the challenge has only %zu bytes", extension.size - KEY_HEADER_SIZE);
	if (find(checker, verdict, WISP_EXTENSION_KEY, &second, &other) && other.size == extension.size &&
		memcmp(other.data + KEY_HEADER_SIZE, extension.data + KEY_HEADER_SIZE,
			extension.size - KEY_HEADER_SIZE) == 0)
		verdict_fail(verdict, "two connections got the same challenge");
}

/* How many bytes from the beginning are UTF-8. */
static size_t
utf8_length(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		char text[5] = "";
		size_t size;

		/* utf8_size() stops at a NUL, which may stand here. */
		memcpy(text, p + i, n - i < 4 ? n - i : 4);
		size = text[0] == '\0' ? 1 : utf8_size(text);
		if (size == 0)
			break;
		i += size;
	}
	return i;
}

void
check_extension_motd(struct checker *checker, struct verdict *verdict)
{
	static struct greeting greeting;
	struct wisp_extension extension;
	size_t good;

	if (!find(checker, verdict, WISP_EXTENSION_MOTD, &greeting, &extension))
		return;
	good = utf8_length(extension.data, extension.size);
	if (good < extension.size)
		verdict_fail(verdict, "its byte %zu is not UTF-8", good);
}

/* Wait for a stream's CONTINUE. */
static void
await_confirmation(struct checker *checker, struct verdict *verdict, uint32_t stream)
{
	const uint64_t deadline_ms = clock_now_ms() + checker->timeout_ms;
	struct probe_event event;

	do {
		probe_next(checker->probe, &event);
		if (reply_is_packet(&event, WISP_CONTINUE, stream))
			return;
	} while (!reply_is_end(&event) && event.kind != PROBE_SILENCE && !reply_is_packet(&event, WISP_CLOSE, stream) &&
		 clock_now_ms() < deadline_ms);
	verdict_fail(verdict, "%s came instead of the stream's CONTINUE", probe_describe(&event));
}

void
check_extension_confirmation(struct checker *checker, struct verdict *verdict)
{
	const struct wisp_extension agreed = {WISP_EXTENSION_OPEN_CONFIRMATION, NULL, 0};
	static struct greeting greeting;
	struct wisp_extension extension;
	struct probe_event event;

	if (!find(checker, verdict, WISP_EXTENSION_OPEN_CONFIRMATION, &greeting, &extension))
		return;
	if (extension.size != 0)
		verdict_fail(verdict, "its payload has %zu bytes", extension.size);
	if (!checker->reaches_targets || greeting_requires(&greeting))
		return;
	greeting_answer(checker, &agreed, 1);
	probe_next(checker->probe, &event);
	if (!reply_is_packet(&event, WISP_CONTINUE, WISP_CONNECTION)) {
		verdict_fail(verdict, "%s came after the client's INFO", probe_describe(&event));
		return;
	}
	probe_send_connect(checker->probe, 1, WISP_TCP, checker->targets->host, checker->targets->tcp[TARGET_ECHO]);
	await_confirmation(checker, verdict, 1);
}
