/*
 * The TLS client context of the tunnel. Certificates are verified here and not by libwebsockets, some versions of which
 * accept those that are not yet valid and cut long names.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "url.h"

struct tls {
	SSL_CTX *context;
	const struct url *url;
	bool insecure;
	const char *refused; /* why the last certificate was refused, or NULL */
};

/* Set up the context. `cacert` is NULL for the system's certificates. Returns false when that failed: logged. */
bool tls_init(struct tls *tls, const struct url *url, const char *cacert, bool insecure);
void tls_free(struct tls *tls);

#endif
