/*
 * A client of the server: its connection from its first byte to the end. hello judges the first bytes, intake reads
 * from then on; the upgrade and the frames are libwisp's. server makes it; target and udp are its streams'
 * destinations.
 */
#ifndef PEER_H
#define PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>
#include <event2/util.h>

#include <sys/queue.h>

#include <wisp/session.h>
#include <wisp/upgrade.h>

#include "datagrams.h"
#include "intake.h"
#include "request.h"
#include "resolver.h"
#include "wire.h"

struct server;

enum peer_state {
	PEER_ARRIVING,  /* it has sent nothing yet; libwebsockets does not have its socket, which saves memory */
	PEER_UPGRADING, /* TLS and the HTTP request */
	PEER_OPEN,
	PEER_CLOSING, /* the last bytes go out */
	PEER_LEAVING, /* it has been sent a refusal, and has yet to hang up */
	PEER_GONE,    /* libwebsockets has closed the connection */
};

struct peer {
	TAILQ_ENTRY(peer) entry;
	struct server *server;
	struct source *source;        /* where it comes from; NULL when that is not counted */
	evutil_socket_t fd;           /* ARRIVING, and LEAVING after that; -1 when libwebsockets has it */
	struct intake intake;         /* from UPGRADING on */
	struct wisp_session *session; /* OPEN and CLOSING */
	struct event event;           /* ARRIVING, and LEAVING after that: the socket */
	struct event run_event;
	struct event timer; /* OPEN: ping; otherwise the deadline of the state */
	struct wire wire;
	enum peer_state state;
	bool over_budget; /* too much waits for its targets */
	bool excess;      /* there are too many from its address: it is told so */
	unsigned unanswered_pings;
	uint64_t sent_bytes;
	size_t backlog_bytes;           /* that its targets have not taken */
	size_t counted_bytes;           /* of these, in the server's sum */
	struct resolver_share names;    /* the look-ups of its streams' names */
	struct datagram_pool datagrams; /* for destinations whose names are being looked up */
	uint8_t *untaken; /* read, but not yet taken by the session, because the client does not read its answers */
	size_t untaken_size;
	struct request request; /* UPGRADING: so far */
	char name[64];
};

/*
 * Take a connection, which server_forget() takes from its source's count at the end. One in excess is refused with HTTP
 * 429. Returns false, with the socket closed, when it cannot be taken: logged.
 */
bool peer_new(
	struct server *server, evutil_socket_t fd, const struct sockaddr *from, struct source *source, bool excess);

/* End the connection at once, with its streams. */
void peer_free(struct peer *peer);

/* To be called by targets after their backlog has changed, and at times when other peers' may have. */
void peer_check_budget(struct peer *peer);

#endif
