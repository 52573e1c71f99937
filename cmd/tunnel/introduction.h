/*
 * What passes between us and a Wisp server before there are streams: what it is shown, why it refuses us, and its
 * message of the day.
 */
#ifndef INTRODUCTION_H
#define INTRODUCTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/session.h>

#include "credentials.h"
#include "failure.h"
#include "route.h"
#include "tunnel.h"

/* What a session at the end of this route is to do, and what it may show: not everything is for everybody. */
struct wisp_client_options introduction_options(
	const struct tunnel_options *options, const struct credentials *credentials, const struct route *route);

/* The handshake has failed: if the server refuses our credentials, or wants some, set the failure and return true. */
bool introduction_judge_credentials(const struct wisp_handshake *handshake, const struct tunnel_options *options,
	const struct route *route, struct failure *failure);

/*
 * The session is over: set the failure. Returns whether the server refuses our credentials or our extensions, which
 * does not get better by trying again soon.
 */
bool introduction_judge(const struct wisp_session *session, const struct tunnel_options *options,
	const struct route *route, struct failure *failure);

/* Warn when there are credentials that the server asked for and was not shown, although it lets us in. */
void introduction_warn(const struct wisp_session *session, const struct route *route);

/* Log a message of the day of n bytes, line by line: it is for people to read, and may be anything. */
void introduction_log_motd(const uint8_t *p, size_t n);

#endif
