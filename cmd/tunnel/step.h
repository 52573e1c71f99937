/*
 * The steps on the way to a server, for who wants to watch an attempt: the tunnel says when each is done, and at which
 * one it has failed.
 */
#ifndef STEP_H
#define STEP_H

#include <stdbool.h>

#include "connection.h"

struct addresses;
struct wisp_session;

/* In their order. Not every way has all of them: a proxy may be left out, and TLS. */
enum step {
	STEP_NAME,
	STEP_TCP,
	STEP_PROXY,
	STEP_TLS,
	STEP_UPGRADE,
	STEP_WISP,
};

/* A description does not get longer than this. */
#define STEP_TEXT_SIZE 1280

/* What people call it. */
const char *step_name(enum step step);

/* The step that a connection is at in this state; `tls` says whether there is TLS. */
enum step step_of(enum connection_state state, bool tls);

/* Describe what has come of a step. For NAME, what was found for `host`; for WISP, what the session has agreed on. */
void step_describe_name(const char *host, const struct addresses *found, char text[STEP_TEXT_SIZE]);
void step_describe_connection(enum step step, const struct connection *connection, char text[STEP_TEXT_SIZE]);
void step_describe_wisp(const struct wisp_session *session, char text[STEP_TEXT_SIZE]);

/* Describe why it was not done: the reason, with whom it was about. */
void step_describe_failure(
	enum step step, const struct connection *connection, const char *reason, char text[STEP_TEXT_SIZE]);

#endif
