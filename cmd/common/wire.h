/*
 * What both ends of a tunnel do with libwebsockets: its context, and the way of a session's bytes to their connection.
 *
 * libwebsockets has no part in the WebSocket itself. For a client it makes the connection, which a carrier takes over;
 * for a server it carries bytes.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libwebsockets.h>

#include "pace.h"

struct carrier;
struct wisp_session;

/* The most that is read or written in one go. */
#define WIRE_BUFFER_SIZE (128 * 1024)
/* The most that a TLS record carries (RFC 8446 section 5.1). */
#define WIRE_RECORD_SIZE (16 * 1024)

/* Set what all of our contexts have in common. `fd_limit` bounds how many connections there can be at once. */
void wire_context_info(struct lws_context_creation_info *info, unsigned fd_limit);

/* Let libwebsockets log by our log: it has nothing to say to users that we do not say better. */
void wire_init_log(void);

/* Options of a tunnel's socket: no delay, and a short queue in the kernel, so that our own order counts. */
void wire_tune_socket(int fd);

enum wire_result {
	WIRE_DONE,    /* the session has nothing more to send */
	WIRE_BLOCKED, /* the connection takes no more: wait until it can be written */
	WIRE_MORE,    /* enough for one turn */
	WIRE_BROKEN,  /* close the connection */
};

/* A connection's way out. Whose TLS ends takes `batch` along: wire_init() it before the next one. */
struct wire {
	struct lws *wsi;         /* a server's connection, in libwebsockets' raw role; NULL for a client's */
	struct carrier *carrier; /* a client's; NULL for a server's */
	struct pace pace;
	size_t chunk_size;    /* how much to pull at once: little on a slow connection, so that nothing waits long */
	struct bio_st *batch; /* where TLS records are gathered; NULL as long as there are few */
};

/* Exactly one of `wsi` and `carrier` must be NULL. */
void wire_init(struct wire *wire, struct lws *wsi, struct carrier *carrier);

/* Write what is gathered. Returns whether all of it is: otherwise, wait until the connection can be written. */
bool wire_flush(struct wire *wire);

/* Send what the session has. Counts the bytes in *sent. */
enum wire_result wire_send(struct wire *wire, struct wisp_session *session, uint64_t *sent);

#endif
