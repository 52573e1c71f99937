/* The certificate that clients are shown, and its key: read from files, and read again. Called by server and intake. */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include <openssl/ssl.h>

/* A context of its own has them, for the caller to free. NULL when the files cannot be used: logged. */
SSL_CTX *certificate_read(const char *cert, const char *cert_key);

/* Have connections of a context show what *certificate has when they begin. */
void certificate_show(SSL_CTX *context, SSL_CTX **certificate);

#endif
