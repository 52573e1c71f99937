/* What came to a probe, in words. */
#include <stdio.h>

#include "probe.h"

#define DESCRIPTION_SIZE 200

static const char *
packet_name(uint8_t type)
{
	static const char *const names[] = {"a packet", "CONNECT", "DATA", "CONTINUE", "CLOSE", "INFO"};

	return type < sizeof names / sizeof *names ? names[type] : "a packet";
}

static void
describe_packet(const struct probe_event *event, char text[DESCRIPTION_SIZE])
{
	const char *name = packet_name(event->type);

	if (event->type == 0)
		snprintf(text, DESCRIPTION_SIZE, "a message of %zu bytes, which is no packet", event->size);
	else if (event->type == WISP_CLOSE)
		snprintf(text, DESCRIPTION_SIZE, "CLOSE of stream %u, reason 0x%02x (%s)", event->stream, event->reason,
			wisp_reason_text(event->reason));
	else if (event->type == WISP_CONTINUE)
		snprintf(text, DESCRIPTION_SIZE, "CONTINUE of stream %u with credit %u", event->stream, event->credit);
	else if (event->type == WISP_END)
		snprintf(text, DESCRIPTION_SIZE, "an end of data of stream %u", event->stream);
	else if (event->type > WISP_INFO)
		snprintf(text, DESCRIPTION_SIZE, "a packet of type 0x%02x for stream %u", event->type, event->stream);
	else
		snprintf(text, DESCRIPTION_SIZE, "%s of stream %u with %zu bytes", name, event->stream, event->size);
}

const char *
probe_describe(const struct probe_event *event)
{
	static char text[DESCRIPTION_SIZE];

	switch (event->kind) {
	case PROBE_PACKET:
		describe_packet(event, text);
		break;
	case PROBE_TEXT:
		snprintf(text, sizeof text, "a text message of %zu bytes", event->size);
		break;
	case PROBE_PING:
		return "a ping";
	case PROBE_PONG:
		return "a pong";
	case PROBE_CLOSE:
		snprintf(text, sizeof text, "a WebSocket close frame, status %u", event->status);
		break;
	case PROBE_END:
		snprintf(text, sizeof text, "the end of the connection (%.150s)", event->text);
		break;
	case PROBE_WRONG:
		snprintf(text, sizeof text, "a breach of RFC 6455: %.150s", event->text);
		break;
	case PROBE_SILENCE:
		return "nothing";
	}
	return text;
}
