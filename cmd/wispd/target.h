/* The destination of a stream: looked up, checked against the policy, connected, and relayed. */
#ifndef TARGET_H
#define TARGET_H

#include <wisp/session.h>

struct peer;
struct server;

/* Begin to connect a new stream; on failure it is closed with a reason. */
void target_open(struct peer *peer, struct wisp_stream *stream, const struct wisp_destination *destination);

/* Give up what is left of streams that are over. */
void target_drop_draining(struct server *server);

#endif
