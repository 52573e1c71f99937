/*
 * What carries the bytes of an open connection: a socket, and its TLS if there is any. libwebsockets has made both, and
 * closes them; in between it has no part in them. The tunnel's connection owns one; a wire writes to it.
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
	/* What was written and did not fit: from `kept_from` to `kept_size` of `kept`, which is NULL as long as there
	 * was none. */
	uint8_t *kept;
	size_t kept_from, kept_size;
	int error; /* why it is over, as errno says it; 0 when the other side has ended it, or nobody knows */
};

enum {
	CARRIER_NOTHING = 0, /* for now */
	CARRIER_OVER = -1,   /* ended, or broken: see `error` */
};

/* Take over a socket that does not block, and its TLS (NULL for none), whose handshake is done. */
void carrier_init(struct carrier *carrier, int fd, struct ssl_st *ssl);

/* Forget them, and what was kept. They stay open. */
void carrier_clear(struct carrier *carrier);

/* Read up to n bytes, with TLS one record of them. Returns how many, CARRIER_NOTHING or CARRIER_OVER. */
ssize_t carrier_read(struct carrier *carrier, void *p, size_t n);

/* Write all of it: what does not fit now is kept, and there may be only one such write. Returns false when it broke. */
bool carrier_write(struct carrier *carrier, const void *p, size_t n);

/* Write what was kept. Returns false when it broke. */
bool carrier_flush(struct carrier *carrier);

/* Whether something is kept. */
bool carrier_keeps(const struct carrier *carrier);

/* Whether nothing should be written now: something is kept, or the socket takes nothing. */
bool carrier_is_full(const struct carrier *carrier);

#endif
