/*
 * The first bytes of a client: whether they are what the port speaks, TLS or plain HTTP. libwebsockets would turn away
 * what is not without a word. peer looks here before it gives a client's socket away.
 */
#ifndef HELLO_H
#define HELLO_H

#include <stdbool.h>

#include <event2/util.h>

enum hello {
	HELLO_NONE, /* nothing has come yet */
	HELLO_GONE, /* nothing will */
	HELLO_RIGHT,
	HELLO_TLS,  /* where plain HTTP is spoken */
	HELLO_HTTP, /* where TLS is spoken */
};

/* Look at what a client has sent, and leave it in its socket. `tls`: the port speaks TLS. */
enum hello hello_look(evutil_socket_t fd, bool tls);

/*
 * Drop what a client has sent, so that closing is not a reset, which could cost it what it was told. Returns false when
 * there is more than a request, or the client has closed its side.
 */
bool hello_drop(evutil_socket_t fd);

/* Tell a client of plain HTTP, in its own words, that TLS is spoken here, and end our side. */
void hello_answer_http(evutil_socket_t fd);

#endif
