/* Why a server's certificate is refused, and what a person can do about it. tls.c finds out; this puts it into words.
 */
#ifndef REFUSAL_H
#define REFUSAL_H

#include <openssl/x509.h>

#include "failure.h"

/*
 * Set the failure for `certificate`, which is not good for `host`; `error` is OpenSSL's (X509_V_ERR_…). It is a passing
 * one when our own clock cannot be right.
 */
void refusal_set(struct failure *failure, const X509 *certificate, int error, const char *host);

#endif
