/*
 * Checks whether a client's first bytes are what the port speaks, TLS or plain HTTP. libwebsockets would close other
 * connections silently. peer calls this before it gives a client's socket to libwebsockets.
 */
#ifndef HELLO_H
#define HELLO_H

#include <stdbool.h>

#include <event2/util.h>

enum hello {
	HELLO_NONE,    /* nothing has come yet */
	HELLO_RIGHT,   /* it is still in the socket */
	HELLO_LEAVING, /* it is not for this port; the client has been told, and may take its time to hang up */
	HELLO_GONE,    /* the client has hung up, or there is nothing more to tell it */
};

/* Look at what a client has sent. `tls` says whether the port speaks TLS, `name` what the log calls the client. */
enum hello hello_take(evutil_socket_t fd, bool tls, const char *name);

/*
 * Drop what a client has sent. Otherwise closing would reset the connection, and the client could lose the answer.
 * Returns false when there is more than a request, or the client has closed its side.
 */
bool hello_drop(evutil_socket_t fd);

#endif
