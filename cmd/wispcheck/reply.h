/*
 * What a server replies to what a check has sent it, and whether it still works afterwards. The checks of the
 * handshake, of errors and of UDP stand on this.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"
#include "probe.h"

/*
 * Take what comes until it is DATA or CLOSE of this stream, the end of the connection, or silence. Pings, pongs, text,
 * CONTINUE and the packets of other streams are passed over.
 */
void reply_await(struct checker *checker, uint32_t stream, struct probe_event *event);
void reply_await_within(struct checker *checker, uint32_t stream, struct probe_event *event, uint64_t ms);

/* Whether this is the end of the connection, or the beginning of it. */
bool reply_is_end(const struct probe_event *event);
/* Whether this is a packet of a type, of a stream. */
bool reply_is_packet(const struct probe_event *event, enum wisp_packet_type type, uint32_t stream);

/* Take what comes until the connection ends. Returns whether it did in time; `status` is its close frame's, or 0. */
bool reply_await_end(struct checker *checker, uint16_t *status);

/* Take what comes until a pong with this payload. Returns whether it came; `event` is what came last. */
bool reply_await_pong(struct checker *checker, const void *payload, size_t n, struct probe_event *event);

/* Open a stream to the echoing target, send a few bytes with CONNECT, and see whether they come back. */
bool reply_echoes(struct checker *checker, uint32_t stream, struct probe_event *event);

/*
 * After something was done to the server: see that this connection, if it stands, and a new one work: that a stream
 * echoes, or, where that was not so from the beginning, that a ping is answered; where not
 * even the handshake succeeds, that there is a WebSocket. Fails the verdict when they do not. Returns whether
 * the connection stood. `what` was done, as in "after ...". What comes first is passed over.
 */
bool reply_expect_life(struct checker *checker, struct verdict *verdict, const char *what);
/* The same for a new connection only. */
void reply_expect_service(struct checker *checker, struct verdict *verdict, const char *what);

#endif
