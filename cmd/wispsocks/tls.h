/*
 * The TLS client context of the tunnel. Certificates are verified here and not by libwebsockets, some versions of which
 * accept those that are not yet valid and cut long names.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "url.h"

struct tls_options {
	const char *cacert; /* NULL for the system's */
	bool insecure;      /* do not verify the server's certificate */
};

struct tls {
	SSL_CTX *context;
	const struct tls_options *options;
	const struct url *url; /* the server's */
	const char *refused;   /* why its certificate was refused, or NULL */
};

/* Set up the context. `options` must outlive it. Returns false when that failed: logged. */
bool tls_init(struct tls *tls, const struct tls_options *options);
void tls_free(struct tls *tls);

/* The next connection is to this URL, which must stay until it is over. */
void tls_aim(struct tls *tls, const struct url *url);

#endif
