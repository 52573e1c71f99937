/*
 * One connection to a Wisp server. libwebsockets makes it, as an HTTP client that asks for the upgrade: TCP, TLS and
 * the request. Through a proxy, libwebsockets starts only when the proxy has opened the way. When the request is
 * written, a carrier takes over, for the answer and all that follows. The tunnel owns it, and uses it again for the
 * next one.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <libwebsockets.h>

#include <wisp/upgrade.h>

#include "answer.h"
#include "carrier.h"
#include "cookies.h"
#include "failure.h"
#include "proxy_handshake.h"
#include "tls.h"
#include "url.h"

struct address;
struct option_list;

enum connection_state {
	CONNECTION_NONE,
	CONNECTION_TCP,     /* being established, to the server or its proxy */
	CONNECTION_PROXY,   /* asked for the way to the server */
	CONNECTION_UPGRADE, /* TLS and the request */
	CONNECTION_ANSWER,  /* the request is written */
	CONNECTION_OPEN,    /* the server has answered 101 */
	CONNECTION_REDIRECTED,
};

/* Where to, and what to ask for. All that it points to must stay until the connection is closed. */
struct connection_request {
	const struct url *url;
	const struct proxy *proxy;         /* NULL for none */
	const struct address *address;     /* of the proxy, or without a proxy, of the host */
	const struct address *target;      /* of the host, for a proxy that must be given it; else NULL */
	const struct url *certified;       /* its host is the name for SNI and for the certificate */
	const char *congestion;            /* TCP's congestion control; NULL for the system's */
	const char *host;                  /* as the Host header wants it */
	const struct option_list *headers; /* more lines for the request; NULL for none */
	struct cookies *cookies;           /* to send with the request; a redirect adds to them */
	bool presents;                     /* our certificate, if the server wants one */
	bool offers_v2;
	bool plain; /* ask for no WebSocket: no answer opens the tunnel then */
};

struct connection_callbacks {
	/* Something happened on the socket: advance, read and write. */
	void (*event)(void *arg);
	/* n bytes arrived, at the end of connection_read(). Returns false, with the failure set, to end it. */
	bool (*received)(void *arg, uint8_t *p, size_t n);
	/* The connection has advanced from this state to the next. May be NULL. */
	void (*advanced)(void *arg, enum connection_state from);
};

struct connection {
	struct event_base *base;
	const struct connection_callbacks *callbacks;
	void *arg;
	struct failure *failure;
	struct tls tls;
	struct lws_context *context;
	struct lws_vhost *vhost;

	struct connection_request request;
	enum connection_state state;
	bool reached;    /* TCP connected, to the server or its proxy; valid until the next connection starts */
	struct lws *wsi; /* NULL when there is none, or no longer */
	char key[WISP_UPGRADE_KEY_SIZE];
	struct proxy_handshake proxy_handshake;
	struct answer answer;    /* REDIRECTED */
	unsigned callback_count; /* of libwebsockets, to see whether it still has something to do */
	bool requested;          /* libwebsockets has the headers, and writes the request */
	struct carrier carrier;  /* from ANSWER on */
	bool congestion_refused; /* the kernel refused it; warned once */
	int fd;                  /* that `fd_event` watches, or -1 */
	struct event fd_event;
	bool readable;   /* there may be something to read */
	size_t received; /* bytes in `buffer` that wait for the next connection_read() */
	char *buffer;
};

/*
 * Set up everything that lasts longer than one connection. Failures of connections are written to `failure`. Returns
 * false when that cannot be: logged; connection_free() is to be called all the same.
 */
bool connection_init(struct connection *connection, struct event_base *base, const struct tls_options *tls,
	const struct connection_callbacks *callbacks, void *arg, struct failure *failure);
void connection_free(struct connection *connection);

/* Read the TLS files again, for connections to come. Returns false when they are of no use: logged. */
bool connection_reload(struct connection *connection);

/* Begin to connect. Nothing else happens within this call, but the failure may be set. */
void connection_start(struct connection *connection, const struct connection_request *request);

/* Do what can be done now towards CONNECTION_OPEN, or a redirect. */
void connection_advance(struct connection *connection);

/* It took too long: set the failure. */
void connection_is_late(struct connection *connection);

/* Read a buffer full of what there is from an open connection. Returns whether something came. */
bool connection_read(struct connection *connection);

/* What carries the bytes, for the log: the version of TLS. */
const char *connection_tls_version(const struct connection *connection);

/* Let go of it. Not to be called from within the callbacks. */
void connection_close(struct connection *connection);

#endif
