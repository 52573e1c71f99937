/* A local program: its SOCKS handshake, then its stream through the tunnel, to the end of its connection. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

#include <event2/util.h>

#include <sys/queue.h>

#include "bridge.h"
#include "relay.h"

enum client_state {
	CLIENT_GREETING, /* the greeting is being read */
	CLIENT_REQUEST,  /* the request is being read */
	CLIENT_WAITING,  /* for the tunnel */
	CLIENT_OPEN,     /* there is a stream */
	CLIENT_DRAINING, /* the stream is over; what it brought is still on its way to the program */
	CLIENT_LEAVING,  /* everything has been said; the program may take its time to hang up */
};

struct client_handshake;

struct client {
	TAILQ_ENTRY(client) entry;
	struct bridge *bridge;
	struct relay relay;
	struct event timer;                 /* what it means depends on the state */
	struct wisp_stream *stream;         /* OPEN */
	struct client_handshake *handshake; /* until OPEN */
	enum client_state state;
	uint8_t reason; /* DRAINING: why the stream ended */
};

/* Take a program's connection. Returns NULL, with the socket closed, when there is no memory for it. */
struct client *client_new(struct bridge *bridge, evutil_socket_t fd);

/* The tunnel is up: open the stream of a client that waits for it. */
void client_connect(struct client *client);

/* Take nothing more from a client that takes nothing. Returns false when it is not one of those. */
bool client_end_if_stalled(struct client *client, uint64_t now_ms);

/* End the connection at once. */
void client_free(struct client *client);

#endif
