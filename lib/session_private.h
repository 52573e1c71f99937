/* What the two halves of a session share: session.c takes what arrives, session_pull.c makes what is sent. */
#ifndef WISP_SESSION_PRIVATE_H
#define WISP_SESSION_PRIVATE_H

#include <wisp/session.h>

#include <sys/queue.h>
#include <sys/tree.h>

#include "schedule.h"

/* Bytes of masking keys that are drawn at once. */
#define KEY_POOL_SIZE 1024

/* What has yet to be sent for a stream, besides its data. */
enum pending {
	PENDING_CONNECT = 1,
	PENDING_CONTINUE = 2,
	PENDING_CLOSE = 4,
	PENDING_END = 8,
};

enum stream_state {
	STREAM_IDLE,    /* nothing to send, as far as is known */
	STREAM_READY,   /* on the schedule */
	STREAM_BLOCKED, /* has data but no credit */
	STREAM_HELD,    /* has little data and little credit: gathers more, on the session's list `held` */
	STREAM_CLOSED,  /* only its CLOSE is left, if anything */
};

struct wisp_stream {
	RB_ENTRY(wisp_stream) by_id;
	TAILQ_ENTRY(wisp_stream) control_entry;
	TAILQ_ENTRY(wisp_stream) held_entry;
	struct wisp_flow flow;
	struct wisp_session *session;
	const struct wisp_stream_callbacks *callbacks; /* NULL when nobody is to be told anything more */
	void *arg;
	char *host; /* until CONNECT has been sent */
	uint64_t held_until_ms;
	size_t backlog_bytes; /* server */
	uint32_t id;
	uint32_t credit; /* DATA packets that the client may still send */
	enum stream_state state;
	uint16_t port;
	uint8_t host_size;
	uint8_t type;    /* enum wisp_stream_type */
	uint8_t pending; /* enum pending */
	uint8_t reason;  /* of the pending CLOSE */
	bool gathered;   /* was held for as long as it may be */
	bool confirmed;  /* server: the client may be told that it is open, or need not be */
	bool ended;      /* this side sends no more data */
	bool peer_ended; /* nor does the other side */
};

RB_HEAD(stream_tree, wisp_stream);
TAILQ_HEAD(stream_queue, wisp_stream);

struct wisp_session {
	const struct wisp_session_callbacks *callbacks;
	void *arg;
	bool client;
	bool woken; /* the caller knows that there is something to pull */
	bool ping_pending;
	bool ping_awaited;
	bool pong_pending;
	bool close_pending; /* the WebSocket's close frame is to be sent */
	bool close_sent;
	uint16_t close_status; /* to be sent */
	uint16_t peer_status;
	char *error; /* NULL or error_text */
	char error_text[200];

	struct wisp_frame_decoder frames;
	struct wisp_packet_decoder packets;
	struct wisp_handshake handshake;
	uint32_t credit; /* that a stream starts with */
	size_t max_streams;

	struct stream_tree streams;
	size_t stream_count;
	size_t close_count; /* streams whose CLOSE has yet to be pulled */
	bool full;          /* server: too many of them: nothing more is taken */
	size_t untaken;     /* of the last feed */
	/* To refuse a stream with when there is no memory. Its `session` is NULL while it is free. */
	struct wisp_stream spare;
	uint32_t next_id;
	struct wisp_stream *last_found;
	struct stream_queue control; /* streams with something pending, first come first served */
	struct stream_queue held;    /* in the order of their deadlines */
	struct wisp_schedule schedule;
	uint64_t now_ms; /* of the last pull */

	/* A UDP datagram is handed out whole. NULL until there is the first that arrives in pieces. */
	uint8_t *datagram;
	size_t datagram_size;
	bool datagram_lost; /* none of the one under way is handed out */

	uint32_t ping_number; /* stands in the last ping */
	size_t pong_size;
	uint8_t pong[WISP_FRAME_CONTROL_MAX];
	size_t keys_used;
	uint8_t keys[KEY_POOL_SIZE];
};

/* End the session from this side: remember why, and send a close frame with the status. */
void wisp_session_fail(struct wisp_session *session, uint16_t status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tell the caller that there is something to pull, unless it knows. */
void wisp_session_wake(struct wisp_session *session);

/* Queue a packet of the stream that is not DATA. */
void wisp_stream_pend(struct wisp_stream *stream, enum pending pending);

/* Move a stream that has data to where its credit puts it. */
void wisp_stream_enlist(struct wisp_stream *stream);

/* Take a stream off the schedule or the list of those that are held. */
void wisp_stream_delist(struct wisp_stream *stream);

/* Whether sending needs credit, and whether there is so little of it that it should not be spent on crumbs. */
bool wisp_stream_counts_credit(const struct wisp_stream *stream);
bool wisp_stream_short_of_credit(const struct wisp_stream *stream);

/* Server: how many more packets the stream can buffer. */
uint32_t wisp_stream_room(const struct wisp_stream *stream);

/* Close a stream that its owner did not close, and call its `closed`. */
void wisp_stream_break(struct wisp_stream *stream, uint8_t reason);

/* Forget a stream. */
void wisp_stream_free(struct wisp_stream *stream);

#endif
