/* The protocols of proxies, without I/O. proxy_handshake.c sends and reads for them. */
#ifndef PROXY_PROTOCOL_H
#define PROXY_PROTOCOL_H

#include <stddef.h>

#include "failure.h"

struct proxy_handshake;

/* What comes of an answer. */
enum proxy_verdict {
	PROXY_MORE, /* the answer is not complete */
	PROXY_SAY,  /* there is another message to send */
	PROXY_OPEN, /* the way to the server is open */
	PROXY_OVER, /* the way is not open; the failure says why */
};

struct proxy_protocol {
	const char *name;
	/* Write the first message. */
	void (*begin)(struct proxy_handshake *handshake);
	/*
	 * Look at the n bytes of an answer that have come so far, from its beginning each time. *end becomes the number
	 * of these bytes that belong to the answer.
	 */
	enum proxy_verdict (*take)(struct proxy_handshake *handshake, size_t n, size_t *end, struct failure *failure);
};

extern const struct proxy_protocol proxy_http, proxy_socks4a, proxy_socks5;

/*
 * Set the failures that all kinds share: this is no such proxy, it cannot connect, it refuses to, it wants credentials.
 */
enum proxy_verdict proxy_is_none(const struct proxy_handshake *handshake, struct failure *failure);
enum proxy_verdict proxy_cannot_connect(
	const struct proxy_handshake *handshake, const char *why, struct failure *failure);
enum proxy_verdict proxy_refuses(const struct proxy_handshake *handshake, const char *why, struct failure *failure);
enum proxy_verdict proxy_wants_credentials(
	const struct proxy_handshake *handshake, const char *why, struct failure *failure);

#endif
