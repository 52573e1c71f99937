/*
 * Connects to a stream's destination: looks it up, checks each address against the policy, and connects. For target and
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
 * The result: a connected, non-blocking socket, or -1 and the reason (enum wisp_reason). `unresolved` says why the name
 * has no address; NULL when it has one. Returns whether the callback took the socket. If not, reach closes it; the
 * callback must not.
 */
typedef bool reach_callback(void *arg, int fd, uint8_t reason, const char *unresolved);

/* Begin; `type` is SOCK_STREAM or SOCK_DGRAM. The look-up is charged to the peer. NULL without memory, or when too many
 * names are being looked up for the peer. */
struct reach *reach_start(
	struct peer *peer, const char *host, uint16_t port, int type, reach_callback *callback, void *arg);

/* Go on without the peer, which may be freed then. */
void reach_outlive_peer(struct reach *reach);

/* The reason that a stream ends with for an errno of its socket. */
uint8_t reach_reason(int error);

/* Stop, without a callback. NULL is allowed. */
void reach_cancel(struct reach *reach);

#endif
