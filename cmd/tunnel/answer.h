/* The server's answer to the upgrade: whether it opens the tunnel, and if not, what a person can do about it. */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>

#include <libwebsockets.h>

#include "failure.h"

/* The subprotocol by which a client says that it speaks version 2. */
#define ANSWER_PROTOCOL "wisp-v2"

/* A longer Location is as good as none: no URL is that long. */
#define ANSWER_LOCATION_SIZE 2048

enum answer_kind {
	ANSWER_NO,        /* the failure says why */
	ANSWER_OPENS,     /* the WebSocket is open */
	ANSWER_REDIRECTS, /* to `location` */
};

struct answer {
	enum answer_kind kind;
	unsigned status;
	bool chose_protocol;                 /* OPENS: the server has named the subprotocol that was offered */
	char location[ANSWER_LOCATION_SIZE]; /* "" when the server does not say where to */
};

/*
 * Judge the answer that libwebsockets has read (RFC 6455 section 4.1). `key` is the request's Sec-WebSocket-Key,
 * `offered` says that it offered the subprotocol.
 */
void answer_judge(struct lws *wsi, const char *key, bool offered, struct answer *answer, struct failure *failure);

/*
 * libwebsockets 4.5 keeps an answer of 401 to itself when it comes with WWW-Authenticate, and leaves the connection as
 * it is. Sets the failure when there is one.
 */
void answer_look_for_withheld(struct lws *wsi, struct failure *failure);

#endif
