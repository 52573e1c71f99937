/*
 * Connects to a name. The name is looked up, and its addresses race (RFC 8305): IPv6 and IPv4 in turn. The next attempt
 * starts after 250 ms, or at once when one fails. The first socket that connects wins, and the others are closed.
 */
#ifndef DIAL_H
#define DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "resolver.h"

/* The most sockets that one dial has open at once. */
#define DIAL_SOCKETS_MAX 4

struct dial;

/* What dials share. */
struct dialer {
	struct event_base *base;
	struct resolver *resolver;
	/*
	 * How many sockets are open, over all who share the limit `sockets_max`. The owner of a dial counts its first
	 * socket. Each further socket is counted here, and waits while the limit is reached.
	 */
	size_t *sockets;
	const size_t *sockets_max;
};

struct dial_result {
	int fd;                      /* connected and non-blocking; -1 when nothing could be connected */
	int error;                   /* when fd is -1: an errno; EACCES when no address was allowed */
	enum resolver_result lookup; /* whether there were addresses at all */
};

/* They are called from the event loop, never from within a call to this module. None of them may cancel the dial. */
struct dial_callbacks {
	/* Whether an address may be tried. */
	bool (*allow)(void *arg, const struct sockaddr *address);
	/* Whether a connected socket may win, now that both of its ends are known. */
	bool (*accept)(void *arg, int fd);
	/*
	 * The dial has ended, and is freed after this call. Returns whether the callback took the socket. If not, the
	 * dial closes it; the callback must not. During the call the dial still watches the socket for all edges, so
	 * watching it again costs nothing.
	 */
	bool (*done)(void *arg, const struct dial_result *result);
};

/*
 * Begin. `type` is SOCK_STREAM or SOCK_DGRAM. For SOCK_DGRAM, the first address with a route wins. The look-up is
 * charged to `share`. `dialer` and `share` must outlive the dial. NULL without memory, or when the share has too many
 * look-ups under way; no callback is called then.
 */
struct dial *dial_start(struct dialer *dialer, struct resolver_share *share, const char *host, uint16_t port, int type,
	const struct dial_callbacks *callbacks, void *arg);

/* Charge the look-up to another share, if it is still under way. */
void dial_charge(struct dial *dial, struct resolver_share *share);

/* Stop, without a callback. NULL is allowed. */
void dial_cancel(struct dial *dial);

#endif
