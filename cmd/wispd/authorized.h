/* The public keys whose owners may come in, from a file. */
#ifndef AUTHORIZED_H
#define AUTHORIZED_H

#include <stddef.h>

#include <wisp/key.h>

struct authorized;

/*
 * Read the file that `option` named: PEM blocks and OpenSSH's lines. Returns NULL, with an error logged that names the
 * option and the file.
 */
struct authorized *authorized_read(const char *option, const char *path);

/* NULL is allowed. */
void authorized_free(struct authorized *authorized);

/* The key with this hash, or NULL. */
const struct wisp_public_key *authorized_find(
	const struct authorized *authorized, const uint8_t hash[WISP_KEY_HASH_SIZE]);

#endif
