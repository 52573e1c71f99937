/*
 * The way to a stream's destination: looked up, each address checked against the policy, and connected. For target and
 * udp.
 */
#ifndef REACH_H
#define REACH_H

#include <stdbool.h>
#include <stdint.h>

struct peer;
struct reach;
struct server;

/*
 * The end: the socket, connected and non-blocking, or -1 and the reason (enum wisp_reason). `unresolved` says why the
 * name has no address, and is NULL when it has. Returns whether the socket was taken; else it is closed, and not here.
 */
typedef bool reach_callback(void *arg, int fd, uint8_t reason, const char *unresolved);

/* Begin; `type` is SOCK_STREAM or SOCK_DGRAM. The look-up is charged to the peer. NULL without memory, or when too many
 * names are being looked up for the peer. */
struct reach *reach_start(
	struct peer *peer, const char *host, uint16_t port, int type, reach_callback *callback, void *arg);

/* Go on without the peer, which may go. */
void reach_outlive_peer(struct reach *reach);

/* The reason that a stream ends with for an errno of its socket. */
uint8_t reach_reason(int error);

/* Stop, without a callback. NULL is allowed. */
void reach_cancel(struct reach *reach);

#endif
