/*
 * The tunnel to a Wisp server: connected, watched, and connected again when it is lost. A connection carries it, and
 * a session speaks Wisp through that.
 */
#ifndef TUNNEL_H
#define TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include <wisp/session.h>

#include "credentials.h"
#include "options.h"
#include "overrides.h"
#include "proxy.h"
#include "step.h"
#include "tls.h"
#include "url.h"

struct tunnel;

struct tunnel_options {
	struct url servers[OPTION_LIST_MAX]; /* in the order in which they are preferred */
	size_t server_count;
	uint64_t return_ms; /* see route.h */
	bool retry_always;  /* no failure to connect is final */
	bool once;          /* every failure is final, once all servers have been tried */
	enum wisp_versions versions;
	bool udp;         /* use it, where the server has it */
	bool confirm;     /* have streams confirmed, where the server can */
	bool end_of_data; /* use the end of data in one direction, where the server has it */
	struct credentials_options credentials;
	struct option_list headers; /* more lines for the upgrade request */
	struct proxy_settings proxies;
	struct overrides overrides;
	struct url sni;         /* its host is the name for TLS; "" for the host of each server's URL */
	const char *congestion; /* TCP's congestion control; NULL for the system's */
	struct tls_options tls;
	uint64_t ping_interval_ms;
};

struct tunnel_callbacks {
	/* Streams can be opened. */
	void (*up)(void *arg);
	/* It makes no sense to go on: the reason has been logged. */
	void (*hopeless)(void *arg);
	/* A step of an attempt is done or has failed; `text` describes it. May be NULL. */
	void (*step)(void *arg, enum step step, bool done, const char *text);
};

/* Begin to connect. `options` and `callbacks` must outlive the tunnel. NULL when that cannot be: logged. */
struct tunnel *tunnel_new(struct event_base *base, const struct tunnel_options *options,
	const struct tunnel_callbacks *callbacks, void *arg);

/* Check the files of a tunnel, without making one. Returns whether they can be used; what is wrong is logged. */
bool tunnel_check(const struct tunnel_options *options);

/* Take leave of the server and end all streams. NULL is allowed. */
void tunnel_free(struct tunnel *tunnel);

/* The session in which streams can be opened; NULL while there is none. */
struct wisp_session *tunnel_session(struct tunnel *tunnel);

/* Whether the server takes nothing for now: what streams have to send stays where it is. */
bool tunnel_is_blocked(const struct tunnel *tunnel);

/* Somebody waits so long for the tunnel: try again soon, and again, instead of at the end of a long pause. */
void tunnel_hurry(struct tunnel *tunnel, uint64_t patience_ms);

/* The files may have changed: read them again, and connect again if they have. */
void tunnel_reload(struct tunnel *tunnel);

/* How many connections ever stood, and the round trip of the last ping in microseconds (0: none yet). */
uint64_t tunnel_connections(const struct tunnel *tunnel);
uint64_t tunnel_round_trip_us(const struct tunnel *tunnel);

/* Stop reading from the server, or go on. */
void tunnel_pause(struct tunnel *tunnel);
void tunnel_resume(struct tunnel *tunnel);

#endif
