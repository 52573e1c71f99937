/* The server: listeners, and the peers that came through them. */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>

#include <sys/queue.h>

#include <wisp/handshake.h>

#include "dial.h"
#include "endpoints.h"
#include "policy.h"
#include "resolver.h"
#include "sources.h"

struct server_options {
	struct endpoints endpoints;
	const char *cert; /* NULL for no TLS */
	const char *cert_key;
	const char *path;
	struct policy policy;
	uint8_t version; /* the highest */
	size_t buffer_packets;
	const char *motd;            /* NULL for none */
	const char *user_file;       /* NULL when passwords let nobody in */
	const char *authorized_keys; /* NULL when keys let nobody in */
	uint64_t udp_timeout_ms;     /* of a UDP stream on which nothing moves */
	uint64_t ping_interval_ms;
	bool no_udp;
	size_t max_clients;
	size_t max_per_address; /* 0 for no limit */
	size_t max_streams;     /* of a client */
	size_t max_targets;     /* of all clients, as there are descriptors for them */
};

struct peer;
struct target;
TAILQ_HEAD(peer_list, peer);
TAILQ_HEAD(target_list, target);

struct server {
	struct event_base *base;
	const struct server_options *options;
	struct lws_context *context;
	SSL_CTX *certificate; /* has what connections to come are shown; NULL without TLS */
	struct resolver *resolver;
	struct wisp_server_options wisp;
	struct accounts *accounts;
	struct authorized *authorized;
	struct listener *listeners[ENDPOINTS_MAX];
	size_t listener_count;
	struct peer_list peers;
	size_t peer_count;
	size_t request_bytes;        /* the memory that their requests take */
	size_t backlog_bytes;        /* that the targets of all peers have not taken */
	struct sources sources;      /* where they come from */
	bool full;                   /* no more are accepted; logged once */
	size_t target_count;         /* sockets of destinations, of all peers and of draining targets */
	struct target_list draining; /* targets whose stream is over, but which have yet to take its data */
	size_t draining_count;
	size_t draining_bytes;
	struct resolver_share names; /* look-ups for draining targets that are not connected yet */
	struct dialer dialer;
	int own; /* socket for own_has(); -1 when there is none */
	struct event tick_timer;
};

/*
 * Check the files that the options name, without starting anything. Returns whether they can be used; what is wrong is
 * logged.
 */
bool server_check(const struct server_options *options);

/* Start everything. Returns false when that cannot be: logged. The caller calls server_stop() in either case. */
bool server_start(struct server *server, struct event_base *base, const struct server_options *options);
void server_stop(struct server *server);

/* Read the files again: credentials, the certificate. */
void server_reload(struct server *server);

/* Log the counters. */
void server_report(const struct server *server);

/* To be called by a peer that is gone. */
void server_forget(struct server *server, struct peer *peer);

#endif
