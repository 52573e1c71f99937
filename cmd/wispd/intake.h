/*
 * Reads a client's socket. libwebsockets has it (in its `raw` role, which does TLS and is the fastest); it is watched
 * for edges and read in turns. Each peer has one, which it opens after the first byte.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>
#include <event2/util.h>
#include <libwebsockets.h>

struct intake_callbacks {
	/* Something has happened on the socket: it is time for intake_turn(). */
	void (*edge)(void *arg);
	/* It brought n bytes, which are the callback's until it returns. */
	void (*data)(void *arg, uint8_t *p, size_t n);
	/* libwebsockets has closed the socket. To be noted only. */
	void (*closed)(void *arg);
};

struct intake {
	const struct intake_callbacks *callbacks;
	void *arg;
	struct lws_context *context;
	struct lws *wsi; /* NULL before it is open, and when libwebsockets has closed it */
	struct event event;
	size_t gathered_size; /* bytes that were read in this turn and are not passed on yet */
	bool greeting;        /* TLS may have something to write, and each piece is passed on at once */
	bool readable;        /* there may be something to read */
	bool called;          /* libwebsockets had something for it */
	bool in_turn;         /* it is read by us, not by libwebsockets as it looks at all sockets */
	bool paused;
};

/*
 * Take a client's socket. `tls` says whether TLS is spoken on it, `name` what the log calls the client. `greeting` is
 * set, until its owner clears it. Returns false, with the socket closed, when it cannot be taken: logged.
 */
bool intake_open(struct intake *intake, struct lws_context *context, struct event_base *base, evutil_socket_t fd,
	bool tls, const char *name, const struct intake_callbacks *callbacks, void *arg);

/* Close it at once, if it is open. */
void intake_close(struct intake *intake);

/* Read what there is, within bounds, and pass it on. Returns whether there may be more. */
bool intake_turn(struct intake *intake);

/* Stop reading, or go on. */
void intake_pause(struct intake *intake, bool paused);

/* The one callback of libwebsockets, whose user is a certificate (see certificate_show()), with the protocol "wisp" in
 * the virtual host "wisp". */
int intake_on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

#endif
