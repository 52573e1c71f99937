/* The server's answer to the upgrade: whether it opens the tunnel, and if not, what a person can do about it. */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include <wisp/upgrade.h>

#include "failure.h"

/* The subprotocol by which a client says that it speaks version 2. */
#define ANSWER_PROTOCOL "wisp-v2"

/* A longer Location is as good as none: no URL is that long. */
#define ANSWER_LOCATION_SIZE 2048

/* The most interim (1xx) answers that are skipped before the final one (RFC 9110 section 15.2). */
#define ANSWER_INTERIM_MAX 20

enum answer_kind {
	ANSWER_INCOMPLETE,
	ANSWER_NO,        /* the failure says why */
	ANSWER_OPENS,     /* the WebSocket is open */
	ANSWER_REDIRECTS, /* to `location` */
};

struct answer {
	enum answer_kind kind;
	unsigned status;               /* 0 until there is one */
	struct wisp_upgrade_text head; /* of the final answer; valid as long as the bytes are */
	unsigned interim_count;
	bool chose_protocol;                 /* OPENS: the server has named the subprotocol that was offered */
	char location[ANSWER_LOCATION_SIZE]; /* "" when the server does not say where to */
};

/*
 * Judge the n bytes at p, which have come of the answer so far (RFC 6455 section 4.1). `answer` is all zero at first.
 * `key` is the request's Sec-WebSocket-Key; `offered` says whether it offered the subprotocol. Returns how many bytes
 * were taken. Pass the rest again with the next call; once the WebSocket is open, the rest is the tunnel's.
 */
size_t answer_take(
	struct answer *answer, const char *p, size_t n, const char *key, bool offered, struct failure *failure);

#endif
