#include "identity.h"

#include <string.h>

#include "log.h"

bool
identity_read(struct identity *identity, const struct credentials_options *credentials, const struct tls_options *tls)
{
	const char *const paths[] = {
		credentials->password_file,
		credentials->key_file,
		tls->cacert,
		tls->cert,
		tls->cert_key,
	};

	*identity = (struct identity){0};
	/* The digest comes first: a file that changes meanwhile is read again then, and not missed. */
	if (!file_digest(paths, sizeof paths / sizeof *paths, identity->digest)) {
		log_error("cannot see whether credentials or certificates change: out of memory");
		return false;
	}
	return credentials_load(&identity->credentials, credentials);
}

bool
identity_equals(const struct identity *a, const struct identity *b)
{
	return memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

void
identity_free(struct identity *identity)
{
	credentials_free(&identity->credentials);
}
