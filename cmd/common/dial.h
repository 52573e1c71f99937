/*
 * Connecting to a name: it is looked up, and its addresses race (RFC 8305): IPv6 and IPv4 in turn, one 250 ms after the
 * other, or at once when one has failed. The first that connects wins, and the others are closed.
 */
#ifndef DIAL_H
#define DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "resolver.h"

/* How many sockets one dial has at once. */
#define DIAL_SOCKETS_MAX 4

struct dial;

/* What dials share. */
struct dialer {
	struct event_base *base;
	struct resolver *resolver;
	/*
	 * How many sockets may be open, of all who share the limit. The first socket of a dial is its owner's to count;
	 * each one beside it is counted here, and waits while there is no room for it.
	 */
	size_t *sockets;
	const size_t *sockets_max;
};

struct dial_result {
	int fd;                      /* connected and non-blocking; -1 when nothing could be connected */
	int error;                   /* then: an errno; EACCES when nothing was allowed */
	enum resolver_result lookup; /* whether there were addresses at all */
};

/* They are called from the event loop, never from within calls. The dial may be cancelled in none of them. */
struct dial_callbacks {
	/* Whether an address may be tried. */
	bool (*allow)(void *arg, const struct sockaddr *address);
	/* Whether a connected socket may win, now that both of its ends are known. */
	bool (*accept)(void *arg, int fd);
	/*
	 * The end: the dial is gone after it. Returns whether the socket was taken; else it is closed, and it must not
	 * be closed here. It is being watched for all edges during the call, so to watch it too costs nothing.
	 */
	bool (*done)(void *arg, const struct dial_result *result);
};

/*
 * Begin. `type` is SOCK_STREAM, or SOCK_DGRAM, for which the first address that there is a way to wins. The look-up is
 * charged to `share`. `dialer` and `share` must outlive the dial. NULL without memory, or when the share has too many
 * look-ups under way; no callback is called then.
 */
struct dial *dial_start(struct dialer *dialer, struct resolver_share *share, const char *host, uint16_t port, int type,
	const struct dial_callbacks *callbacks, void *arg);

/* Charge the look-up, if it is still under way, to somebody else. */
void dial_charge(struct dial *dial, struct resolver_share *share);

/* Stop, without a callback. NULL is allowed. */
void dial_cancel(struct dial *dial);

#endif
