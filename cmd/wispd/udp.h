/* The destination of a UDP stream: looked up, checked against the policy, and relayed, a datagram at a time. */
#ifndef UDP_H
#define UDP_H

#include <wisp/session.h>

struct peer;

/* Begin with a new stream; on failure it is closed with a reason. */
void udp_open(struct peer *peer, struct wisp_stream *stream, const char *host, uint16_t port);

#endif
