/* A local program: what it asks for, and its stream through the tunnel, to the end of its connection. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

#include <event2/util.h>

#include <sys/queue.h>

#include <wisp/socks5.h>

#include "bridge.h"
#include "relay.h"

enum client_state {
	CLIENT_GREETING,   /* the greeting is being read */
	CLIENT_PASSWORD,   /* the user name and the password are being read */
	CLIENT_REQUEST,    /* the request is being read */
	CLIENT_WAITING,    /* for the tunnel */
	CLIENT_OPENING,    /* for the server to confirm the stream */
	CLIENT_OPEN,       /* there is a stream */
	CLIENT_ASSOCIATED, /* there is an association for UDP */
	CLIENT_ENDING,     /* nothing more will be sent; the last data is on its way to the program */
};

struct association;
struct negotiation;

struct client {
	TAILQ_ENTRY(client) entry;
	struct bridge *bridge;
	struct source *source; /* where it comes from; NULL when that is not counted */
	struct relay *relay;
	struct event timer;              /* what it means depends on the state */
	struct wisp_stream *stream;      /* OPENING and OPEN */
	struct association *association; /* ASSOCIATED */
	struct negotiation *negotiation; /* until the request has been granted */
	enum client_state state;
	bool has_data;     /* OPEN: some has come for the program */
	bool told;         /* OPEN: the program has ended its data, and the far end is told */
	bool server_ended; /* OPEN: the far end has ended its data, and the program is told */
};

/*
 * Take a program's connection, which bridge_forget() takes from its source's count at the end. Returns NULL, with the
 * socket closed, when there is no memory for it.
 */
struct client *client_new(
	struct bridge *bridge, evutil_socket_t fd, const struct sockaddr *from, struct source *source);

/* The request has been read: do what it asks for, or wait for the tunnel. */
void client_request(struct client *client);

/* The tunnel is up: do what the client asks for, if it waits for that. */
void client_on_tunnel_up(struct client *client);

/*
 * Grant the request; `address` is NULL where there is none to tell. Returns false when that was the end of the client,
 * whose socket broke.
 */
bool client_accept(struct client *client, const struct wisp_socks5_address *address);

/* Refuse the request, and leave. */
void client_refuse(struct client *client, enum wisp_socks5_reply code);

/* Everything has been said: end the connection so that the program gets it all. */
void client_leave(struct client *client);

/* The program's socket broke. */
void client_lose(struct client *client);

/* End the connection of a program that takes nothing. Returns false when it is not one of those. */
bool client_end_if_stalled(struct client *client);

/* End the connection at once. */
void client_free(struct client *client);

#endif
