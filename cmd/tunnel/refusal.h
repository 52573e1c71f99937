/* Words for a refused certificate: why it is refused, and what to do. tls.c finds the cause. */
#ifndef REFUSAL_H
#define REFUSAL_H

#include <openssl/x509.h>

#include "failure.h"

/*
 * Set the failure for `certificate`, which was refused for `host` with OpenSSL's `error` (X509_V_ERR_…). The failure is
 * a passing one when the clock here must be wrong.
 */
void refusal_set(struct failure *failure, const X509 *certificate, int error, const char *host);

#endif
