/*
 * One connection to the server, with its session: a link passes bytes between the two, and checks whether the server is
 * still there. The tunnel owns it, and reuses it for the next connection.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include <wisp/session.h>

#include "connection.h"
#include "failure.h"
#include "liveness.h"
#include "wire.h"

struct link_callbacks {
	/* Something happened, or link_wake() was called: do all that can be done. Comes from the event loop. */
	void (*event)(void *arg);
	/* The connection has advanced from this state to the next. */
	void (*advanced)(void *arg, enum connection_state from);
	/* The session's handshake is done: streams can be opened. */
	void (*ready)(void *arg);
	/* The session has ended because of what the server said. The callback sets the failure. */
	void (*refused)(void *arg);
};

struct link {
	const struct link_callbacks *callbacks;
	void *arg;
	struct failure *failure;
	struct connection connection;
	struct wisp_client_options options; /* of the session */
	struct wisp_session *session;       /* NULL until the connection is open */
	struct wire wire;
	struct liveness liveness; /* once the session is ready */
	bool ready;
	bool blocked; /* the connection takes no data for now */
	bool paused;  /* it is not read */
	uint64_t sent_bytes;
	struct event run_event;  /* there is something to send or to read */
	struct event held_timer; /* the session's deadline */
};

/*
 * Set up everything that lasts longer than one connection. `failure` receives the reason when a connection ends.
 * Returns false on failure, which is logged; call link_free() in this case too.
 */
bool link_init(struct link *link, struct event_base *base, const struct tls_options *tls, uint64_t ping_interval_ms,
	const struct link_callbacks *callbacks, void *arg, struct failure *failure);
void link_free(struct link *link);

/* The connection is open: start the session. May set the failure. */
void link_open(struct link *link, const struct wisp_client_options *options);

/* Read and write what is possible, at most one turn's worth. */
void link_work(struct link *link);

/* Have `event` called soon, but not from within this call. */
void link_wake(struct link *link);

/* Stop reading from a server whose session is ready, or go on. */
void link_pause(struct link *link);
void link_resume(struct link *link);

/* Tell the server that the connection is about to close. */
void link_leave(struct link *link);

/* Close the connection and end all streams. Must not be called from a callback of libwebsockets. */
void link_close(struct link *link);

#endif
