/* The steps of an attempt to connect to a server. The tunnel reports when each is done, and which one has failed. */
#ifndef STEP_H
#define STEP_H

#include <stdbool.h>

#include "connection.h"

struct addresses;
struct wisp_session;

/* In their order. PROXY and TLS are left out where there is none. */
enum step {
	STEP_NAME,
	STEP_TCP,
	STEP_PROXY,
	STEP_TLS,
	STEP_UPGRADE,
	STEP_WISP,
};

/* The longest description, with the final NUL. */
#define STEP_TEXT_SIZE 1280

/* Who is told of the steps. */
struct step_watcher {
	/* A step is done or has failed; `text` describes it. NULL where nobody wants to know. */
	void (*step)(void *arg, enum step step, bool done, const char *text);
	void *arg;
};

/* The name of a step, for people. */
const char *step_name(enum step step);

/* The step that a connection is at in this state; `tls` says whether there is TLS. */
enum step step_of(enum connection_state state, bool tls);

/* A step is done: `host` has these addresses; the connection has left this state; the session has agreed on Wisp. */
void step_report_name(const struct step_watcher *watcher, const char *host, const struct addresses *found);
void step_report_connection(
	const struct step_watcher *watcher, const struct connection *connection, enum connection_state from);
void step_report_wisp(const struct step_watcher *watcher, const struct wisp_session *session);

/* A step has failed, for this reason. */
void step_report_failure(
	const struct step_watcher *watcher, enum step step, const struct connection *connection, const char *reason);

#endif
