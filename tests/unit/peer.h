/*
 * A session with a small application around it, for the session tests: it writes down what it is told, hands out what
 * it is given to send, and shows what it sends as the text of wire.h.
 */
#ifndef PEER_H
#define PEER_H

#include <wisp/session.h>

#include <sys/queue.h>

#include "unit.h"
#include "wire.h"

struct peer_stream {
	TAILQ_ENTRY(peer_stream) entry;
	struct peer *peer;
	struct wisp_stream *stream; /* NULL when it is over */
	uint32_t id;
	bool udp;
	struct buffer outgoing; /* for `read` to hand out */
	size_t outgoing_at;
	struct buffer datagrams; /* UDP: the sizes of those in `outgoing`, a size_t each */
	size_t datagrams_at;
	size_t read_max; /* that one `read` hands out */
	struct buffer received;
	struct buffer received_sizes; /* UDP: "0 125 1 ", as text */
	size_t received_packets;
	uint8_t reason; /* with which the other side closed it */
};

enum peer_event {
	PEER_OPEN,
	PEER_DATA,
	PEER_READ,
	PEER_AVAILABLE,
	PEER_GRANTED,
	PEER_ENDED,
	PEER_CLOSED,
};

TAILQ_HEAD(peer_streams, peer_stream);

struct peer {
	struct wisp_session *session;
	bool client;
	uint64_t now_ms;
	struct peer_streams streams; /* all that there ever were */
	struct buffer events; /* "ready", "open 1 tcp host 80", "granted 1", "ended 1", "closed 1 0x02", "motd hello",
				 "pong", a line each */
	unsigned wakes;
	unsigned reads;
	bool connects_later; /* server: it does not confirm each stream at once */
	struct wire wire;    /* what it has sent */
	struct buffer sent;  /* the bytes of the last pull */
	/* Called in each callback of a stream, before anything else in `read`, after everything else in the others. */
	void (*hook)(struct peer_stream *stream, enum peer_event event);
	void *hook_arg;
	struct wisp_client_options client_options;
	struct wisp_server_options server_options;
};

/* The credit that peer_new_ready() begins with. */
#define PEER_CREDIT 128

/* The options that most tests use: all that needs no credentials. */
extern const struct wisp_client_options peer_client_options;
extern const struct wisp_server_options peer_server_options;

struct peer *peer_new_client(enum wisp_versions versions);
struct peer *peer_new_client_with(const struct wisp_client_options *options);
struct peer *peer_new_server(uint8_t version, uint32_t credit, size_t max_streams);
struct peer *peer_new_server_with(const struct wisp_server_options *options, uint8_t version);

/* The same without a session when there is no memory for it. */
struct peer *peer_try_client(const struct wisp_client_options *options);
struct peer *peer_try_server(const struct wisp_server_options *options, uint8_t version);

/* A client that has heard a v1 server's credit; a v1 server that has said it. */
struct peer *peer_new_ready_client(uint32_t credit);
struct peer *peer_new_ready_server(uint32_t credit, size_t max_streams);

/* A client or a server with one stream, 1, of which there is nothing more to say. */
struct peer *peer_new_with_stream(bool client);

void peer_free(struct peer *peer);

/* Free the session alone: its streams are told. */
void peer_end(struct peer *peer);

/* ---- what the application does ---- */

struct peer_stream *peer_open(struct peer *peer, enum wisp_stream_type type, const char *host);
/* The same; NULL when the session opens none. */
struct peer_stream *peer_try_open(struct peer *peer, enum wisp_stream_type type, const char *host);
struct peer_stream *peer_stream(struct peer *peer, uint32_t id);
/* For a UDP stream, what is written at once is one datagram. */
void peer_write(struct peer_stream *stream, const void *p, size_t n);
/* Note that the last n bytes of a UDP stream's `outgoing` are a datagram: peer_write() does. */
void peer_end_datagram(struct peer_stream *stream, size_t n);
void peer_write_text(struct peer_stream *stream, const char *text);
/* Write n bytes that depend on the stream's id. */
void peer_write_bulk(struct peer_stream *stream, size_t n);
/* All that is to be sent has been read. */
bool peer_end_data(struct peer_stream *stream);
void peer_close(struct peer_stream *stream, uint8_t reason);

/* ---- what it sends ---- */

/* Pull up to n bytes. Returns them as text, until the next pull. */
const char *peer_pull(struct peer *peer, size_t n);

/* The same with room for n bytes. */
const char *peer_pull_goal(struct peer *peer, size_t n, size_t goal);

/* Pull with more room than anything here takes. */
const char *peer_pull_all(struct peer *peer);

/* What was pulled, in all. */
const char *peer_log(struct peer *peer);

/* The session is over: one close frame, `says`, is left to be pulled, and then nothing, whatever there would be. */
void peer_expect_end(struct peer *peer, const char *says);

/* The events since the last call. */
const char *peer_events(struct peer *peer);

/* ---- what it hears: each returns what wisp_session_feed() did ---- */

bool peer_hear(struct peer *peer, const uint8_t *p, size_t n);
bool peer_hear_frame(struct peer *peer, enum wisp_opcode opcode, const void *payload, size_t n);
bool peer_hear_message(struct peer *peer, const uint8_t *p, size_t n);
bool peer_hear_connect(struct peer *peer, uint32_t id, const char *host);
bool peer_hear_data(struct peer *peer, uint32_t id, const char *text);
bool peer_hear_continue(struct peer *peer, uint32_t id, uint32_t credit);
bool peer_hear_close(struct peer *peer, uint32_t id, uint8_t reason);
bool peer_hear_end(struct peer *peer, uint32_t id);

/* Let two peers hear one another, in pulls of pull_size that are split, until neither has anything to say. */
void peer_exchange(struct peer *a, struct peer *b, unsigned split, size_t pull_size);

#endif
