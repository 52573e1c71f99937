/*
 * Checks whether a client's first bytes are what the port speaks, TLS or plain HTTP. libwebsockets would close other
 * connections silently. peer calls this before it gives a client's socket to libwebsockets.
 */
#ifndef HELLO_H
#define HELLO_H

#include <stdbool.h>

#include <event2/util.h>

enum hello {
	HELLO_NONE, /* nothing has come yet */
	HELLO_GONE, /* the client has hung up */
	HELLO_RIGHT,
	HELLO_TLS,  /* where plain HTTP is spoken */
	HELLO_HTTP, /* where TLS is spoken */
};

/* Look at what a client has sent, and leave it in the socket. `tls` says whether the port speaks TLS. */
enum hello hello_look(evutil_socket_t fd, bool tls);

/*
 * Drop what a client has sent. Otherwise closing would reset the connection, and the client could lose the answer.
 * Returns false when there is more than a request, or the client has closed its side.
 */
bool hello_drop(evutil_socket_t fd);

/* Answer a plain HTTP client that the port speaks TLS, and end our side. */
void hello_answer_http(evutil_socket_t fd);

#endif
