/*
 * The TLS client context of the tunnel. Certificates are verified here and not by libwebsockets, some versions of which
 * accept those that are not yet valid and cut long names.
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "failure.h"
#include "url.h"

struct tls_options {
	const char *cacert; /* NULL for the system's */
	bool insecure;      /* do not verify the server's certificate */
	/* Our own certificate and its key; NULL for none. Both may be in one file, then only `cert` is given. */
	const char *cert, *cert_key;
};

struct tls {
	SSL_CTX *context;
	const struct tls_options *options;
	const struct url *url;    /* the certificate must be for its host */
	char name[URL_HOST_SIZE]; /* its host, without the final dot that certificates do not have (RFC 6066 section 3)
				   */
	bool presents;            /* our certificate, if the server wants one */
	struct failure refusal;   /* why the server's certificate was refused; NONE when it was not */
	size_t first_size;        /* of `first`; 0 when the server speaks TLS */
	uint8_t first[5];         /* the server's first bytes when they are not TLS */
	bool outdated;            /* there is no version of TLS that both sides speak */
	int alert;                /* how the server refused us (RFC 8446 section 6), or -1 */
};

/* Set up the context. `options` must outlive it. Returns false when that failed: logged. */
bool tls_init(struct tls *tls, const struct tls_options *options);
void tls_free(struct tls *tls);

/* Read the files again, for connections to come. Returns false when they are of no use, and changes nothing: logged. */
bool tls_reload(struct tls *tls);

/*
 * Set the host that the next connection's certificate must be for: this URL's. `url` must stay valid until that
 * connection is over. `presents` says whether to show our own certificate, which only the user's server may see.
 */
void tls_aim(struct tls *tls, const struct url *url, bool presents);

/*
 * A handshake was finished, and then the connection broke, maybe while writing: what was still unread may be an alert.
 * `ssl` may be NULL.
 */
void tls_read_alert(struct tls *tls, SSL *ssl);

/* Set the failure for what has gone wrong with TLS. Returns false when nothing is known. */
bool tls_judge(const struct tls *tls, struct failure *failure);

#endif
