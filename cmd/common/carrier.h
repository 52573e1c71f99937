/*
 * The transport of an open connection: a socket, and its TLS if there is any. libwebsockets creates and closes both,
 * and does not use them in between. The tunnel's connection owns one; a wire writes to it.
 */
#ifndef CARRIER_H
#define CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

struct ssl_st;

struct carrier {
	int fd;
	struct ssl_st *ssl; /* NULL without TLS */
	/* What the socket did not take: bytes `kept_from` to `kept_size` of `kept`. NULL when there is none. */
	uint8_t *kept;
	size_t kept_from, kept_size;
	int error; /* an errno: why it is over; 0 when the other side ended it, or the cause is unknown */
};

enum {
	CARRIER_NOTHING = 0, /* nothing can be read or written now */
	CARRIER_OVER = -1,   /* ended, or broken: see `error` */
};

/* Take over a non-blocking socket and its TLS (NULL for none). The TLS handshake must be done. */
void carrier_init(struct carrier *carrier, int fd, struct ssl_st *ssl);

/* Forget the socket, the TLS and the kept data. The socket and the TLS stay open. */
void carrier_clear(struct carrier *carrier);

/* Read up to n bytes, with TLS at most one record. Returns their number, CARRIER_NOTHING or CARRIER_OVER. */
ssize_t carrier_read(struct carrier *carrier, void *p, size_t n);

/*
 * Write n bytes, and keep what the socket does not take now. Nothing else may be written while something is kept.
 * Returns false when the connection broke.
 */
bool carrier_write(struct carrier *carrier, const void *p, size_t n);

/* Write what was kept. Returns false when the connection broke. */
bool carrier_flush(struct carrier *carrier);

/* Whether something is kept. */
bool carrier_keeps(const struct carrier *carrier);

/* Whether nothing should be written now: something is kept, or the socket takes nothing. */
bool carrier_is_full(const struct carrier *carrier);

#endif
