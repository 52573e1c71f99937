/* What the parts of a probe share: its state, and what one of them does for the others. */
#ifndef PROBE_PRIVATE_H
#define PROBE_PRIVATE_H

#include <event2/event_struct.h>

#include "connection.h"
#include "header.h"
#include "outbox.h"
#include "probe.h"
#include "resolver.h"
#include "route.h"

struct probe {
	struct checker *checker;
	struct resolver *resolver;
	struct resolver_query *query;
	struct route route;
	struct connection connection;
	struct failure failure;
	char host_header[HEADER_HOST_SIZE]; /* "" for the URL's */
	struct url opened;                  /* the route's, with the path of the opening */

	struct event tick_timer;
	struct outbox out;
	struct wisp_client_options wisp;
	struct wisp_handshake handshake;

	uint8_t *received; /* the connection's bytes; from `taken` to `received_size` they are not decoded yet */
	size_t taken;
	size_t received_size;
	struct wisp_frame_decoder frames;
	uint8_t *message; /* the one under way, or that was handed out last: gathered here unless it came whole */
	size_t message_size;
	size_t message_room;
	const char *over_text;
	bool holds; /* nothing is written for the time being */
	bool kept_out;
	bool looks_further; /* there is another host to look up */
	bool unread;        /* there is more to read than one look takes */
	bool over;          /* nothing more will come */
	bool wrong;         /* the server broke the rules */
};

/* Let the event loop turn once, up to a time of the clock. */
void probe_turn(struct probe *probe, uint64_t deadline_ms);

/* Write what the connection takes. */
void probe_flush(struct probe *probe);

#endif
