/*
 * The handshake with a proxy: sends its messages and reads its answers. No byte beyond the answers is read, because
 * what follows is the server's. proxy_protocol.h has the protocol of each kind of proxy.
 *
 * libwebsockets could do it, too, but looks the proxy's name up in a way that blocks, takes the first bytes for the
 * whole answer, and in 4.1 keeps its number to itself.
 */
#ifndef PROXY_HANDSHAKE_H
#define PROXY_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"
#include "proxy.h"
#include "url.h"

/* A longer answer is refused. */
#define PROXY_ANSWER_MAX 8192
/* What credentials become in base64 (RFC 4648 section 4), with the final NUL. */
#define PROXY_BASE64_SIZE (4 * (PROXY_CREDENTIALS_MAX / 3 + 1) + 1)

struct proxy_protocol;

struct proxy_handshake {
	const struct proxy_protocol *protocol;
	const struct proxy *proxy;
	const struct url *url;
	const struct address *target; /* the server's address, if it is looked up here; NULL to send its name */
	unsigned step;                /* the protocol's own */
	uint8_t message[2 * ADDRESS_JOINED_SIZE + PROXY_BASE64_SIZE + 128];
	size_t message_size, sent_size;
	uint8_t answer[PROXY_ANSWER_MAX];
	size_t answer_size;
};

/*
 * Prepare to ask the proxy to connect to the server. For PROXY_SOCKS5, `target` is one of the server's addresses; for
 * all others it is NULL. All arguments must stay valid until the handshake is done.
 */
void proxy_handshake_begin(struct proxy_handshake *handshake, const struct proxy *proxy, const struct url *url,
	const struct address *target);

/*
 * Go on, on a socket that does not block, until there is nothing to do for now. Returns whether the way to the server
 * is open. Sets the failure when it will not be.
 */
bool proxy_handshake_advance(struct proxy_handshake *handshake, int fd, struct failure *failure);

#endif
