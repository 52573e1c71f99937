/*
 * How a connection through an HTTP proxy begins: CONNECT and its answer (RFC 9110 section 9.3.6). Not a byte more than
 * the answer's head is read: what follows is the server's.
 *
 * libwebsockets could do it, too, but looks the proxy's name up in a way that blocks, takes the first bytes for the
 * whole answer, and in 4.1 keeps its number to itself.
 */
#ifndef PROXY_HANDSHAKE_H
#define PROXY_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "failure.h"
#include "proxy.h"
#include "url.h"

/* A longer head of an answer is refused. */
#define PROXY_HEAD_MAX 8192

struct proxy_handshake {
	const struct proxy *proxy;
	const struct url *url;
	char request[2 * ADDRESS_JOINED_SIZE + sizeof((struct proxy *)NULL)->credentials + 128];
	size_t request_size, sent_size;
	char head[PROXY_HEAD_MAX];
	size_t head_size;
};

/* Prepare to ask the proxy for a way to the server. Both must stay until it is done. */
void proxy_handshake_begin(struct proxy_handshake *handshake, const struct proxy *proxy, const struct url *url);

/*
 * Go on, on a socket that does not block, until there is nothing to do for now. Returns whether the way to the server
 * is open. Sets the failure when it will not be.
 */
bool proxy_handshake_advance(struct proxy_handshake *handshake, int fd, struct failure *failure);

/* The status in the head of an answer; 0 when it is not HTTP/1. */
unsigned proxy_handshake_status(const char *head, size_t n);

#endif
