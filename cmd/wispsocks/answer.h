/* The server's answer to the upgrade: whether it opens the tunnel, and if not, what a person can do about it. */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>

#include <libwebsockets.h>

#include "failure.h"

/* The subprotocol by which a client says that it speaks version 2. */
#define ANSWER_PROTOCOL "wisp-v2"

/*
 * Judge the answer that libwebsockets has read (RFC 6455 section 4.1). `key` is the request's Sec-WebSocket-Key,
 * `offered` says that it offered the subprotocol. Returns false, with `failure` set, when it does not open the tunnel.
 */
bool answer_opens(struct lws *wsi, const char *key, bool offered, struct failure *failure);

#endif
