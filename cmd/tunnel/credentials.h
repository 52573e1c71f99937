/* What the user shows a Wisp server: a user name and a password, or an Ed25519 key. */
#ifndef CREDENTIALS_H
#define CREDENTIALS_H

#include <stdbool.h>

#include <wisp/handshake.h>

struct credentials_options {
	const char *user;          /* NULL for none */
	const char *password;      /* from the environment; NULL for none */
	const char *variable;      /* the environment variable of the password */
	const char *password_file; /* NULL for none */
	const char *key_file;      /* NULL for none */
	bool unverified;           /* show them also to a server that TLS has not verified */
};

struct credentials {
	char *password; /* NULL for none */
	struct wisp_key *key;
};

/* Read the files. Returns false when one cannot be used: logged. */
bool credentials_load(struct credentials *credentials, const struct credentials_options *options);

/* Wipe them. */
void credentials_free(struct credentials *credentials);

#endif
