/*
 * What the user shows servers, as it was last read from the files: the credentials, and a digest of all files, those of
 * TLS among them, which tells whether they have changed. Belongs to the tunnel.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "credentials.h"
#include "file.h"
#include "tls.h"

struct identity {
	struct credentials credentials;
	uint8_t digest[FILE_DIGEST_SIZE];
};

/* Read the files. Returns false when one cannot be used, or without memory: logged. */
bool identity_read(
	struct identity *identity, const struct credentials_options *credentials, const struct tls_options *tls);

/* Whether two were read from the same files with the same contents. */
bool identity_equals(const struct identity *a, const struct identity *b);

/* Wipe it. */
void identity_free(struct identity *identity);

#endif
