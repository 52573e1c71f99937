#include "greeting.h"

#include <string.h>

#include "probe.h"
#include "reply.h"

/* Of the versions in an INFO. */
#define VERSION_SIZE 2
/* What a check answers at the most. */
#define ANSWER_MAX 1024

bool
greeting_begin(struct checker *checker, struct verdict *verdict, struct greeting *greeting)
{
	const struct probe_opening opening = {.offers_v2 = true};
	struct probe_event event;

	greeting->size = 0;
	if (!probe_open(checker->probe, &opening)) {
		verdict_fail(verdict, "no connection: %s", probe_failure(checker->probe));
		return false;
	}
	probe_next(checker->probe, &event);
	if (event.kind == PROBE_PING)
		probe_next(checker->probe, &event);
	if (!reply_is_packet(&event, WISP_INFO, WISP_CONNECTION)) {
		verdict_fail(verdict, "%s came instead of INFO", probe_describe(&event));
		return false;
	}
	if (event.size < VERSION_SIZE || event.size > sizeof greeting->info) {
		verdict_fail(verdict, "an INFO with %zu bytes came", event.size);
		return false;
	}
	memcpy(greeting->info, event.payload, event.size);
	greeting->size = event.size;
	return true;
}

bool
greeting_begin_open(struct checker *checker, struct verdict *verdict, struct greeting *greeting)
{
	if (!greeting_begin(checker, verdict, greeting))
		return false;
	if (greeting_requires(greeting)) {
		verdict_skip(verdict, "the server requires credentials");
		return false;
	}
	return true;
}

bool
greeting_find(const struct greeting *greeting, enum wisp_extension_id id, struct wisp_extension *extension)
{
	const uint8_t *p = greeting->info + VERSION_SIZE;
	size_t n = greeting->size - VERSION_SIZE;

	while (wisp_extension_next(&p, &n, extension))
		if (extension->id == (uint8_t)id)
			return true;
	return false;
}

bool
greeting_asks(const struct greeting *greeting)
{
	struct wisp_extension extension;

	return greeting_find(greeting, WISP_EXTENSION_PASSWORD, &extension) ||
	       greeting_find(greeting, WISP_EXTENSION_KEY, &extension);
}

/* Both begin with whether they are required. Draft 3 and before had no such byte: there they always are. */
static bool
is_required(const struct greeting *greeting, enum wisp_extension_id id)
{
	struct wisp_extension extension;

	return greeting_find(greeting, id, &extension) && (extension.size == 0 || extension.data[0] != 0);
}

bool
greeting_requires(const struct greeting *greeting)
{
	return is_required(greeting, WISP_EXTENSION_PASSWORD) || is_required(greeting, WISP_EXTENSION_KEY);
}

void
greeting_answer(struct checker *checker, const struct wisp_extension *extensions, size_t count)
{
	uint8_t payload[ANSWER_MAX] = {2, 0};
	size_t n = VERSION_SIZE;

	for (size_t i = 0; i < count && extensions[i].size < ANSWER_MAX - n - WISP_EXTENSION_HEADER_SIZE; i++)
		n += wisp_extension_write(payload + n, &extensions[i]);
	probe_send_packet(checker->probe, WISP_INFO, WISP_CONNECTION, payload, n);
}
