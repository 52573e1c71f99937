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

/* The name of a step, for people. */
const char *step_name(enum step step);

/* The step that a connection is at in this state; `tls` says whether there is TLS. */
enum step step_of(enum connection_state state, bool tls);

/* Describe the result of a step: for NAME, the addresses of `host`; for WISP, what the session has agreed on. */
void step_describe_name(const char *host, const struct addresses *found, char text[STEP_TEXT_SIZE]);
void step_describe_connection(enum step step, const struct connection *connection, char text[STEP_TEXT_SIZE]);
void step_describe_wisp(const struct wisp_session *session, char text[STEP_TEXT_SIZE]);

/* Describe why a step failed: the reason, with the peer that it is about. */
void step_describe_failure(
	enum step step, const struct connection *connection, const char *reason, char text[STEP_TEXT_SIZE]);

#endif
