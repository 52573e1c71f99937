#include "authorized.h"

#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "log.h"

#define KEYS_MAX 10000

struct authorized {
	size_t count;
	struct wisp_public_key keys[];
};

/* Count the keys in a text, and copy them if there is somewhere to. Returns false when it is not all keys. */
static bool
read_keys(const char *text, size_t size, struct wisp_public_key *keys, size_t *count)
{
	struct wisp_public_key key;

	for (*count = 0;; ++*count) {
		switch (wisp_public_key_next(&text, &size, &key)) {
		case WISP_KEY_END:
			return true;
		case WISP_KEY_INVALID:
			return false;
		case WISP_KEY_FOUND:
			if (keys != NULL)
				keys[*count] = key;
			break;
		}
	}
}

struct authorized *
authorized_read(const char *option, const char *path)
{
	struct authorized *authorized = NULL;
	size_t size, count;
	char *text = file_read(option, path, false, &size);

	if (text == NULL)
		return NULL;
	if (!read_keys(text, size, NULL, &count)) {
		log_error("--%s: %s: key %zu is not an Ed25519 public key (PEM, or an ssh-ed25519 line)", option, path,
			count + 1);
	} else if (count == 0 || count > KEYS_MAX) {
		log_error(
			"--%s: %s: there %s", option, path, count == 0 ? "is no key in it" : "are too many keys in it");
	} else {
		authorized = calloc(1, sizeof *authorized + count * sizeof authorized->keys[0]);
		if (authorized == NULL)
			log_error("--%s: %s: out of memory", option, path);
		else
			read_keys(text, size, authorized->keys, &authorized->count);
	}
	file_free(text, size);
	return authorized;
}

void
authorized_free(struct authorized *authorized)
{
	free(authorized);
}

const struct wisp_public_key *
authorized_find(const struct authorized *authorized, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	for (size_t i = 0; i < authorized->count; i++)
		if (memcmp(authorized->keys[i].hash, hash, WISP_KEY_HASH_SIZE) == 0)
			return &authorized->keys[i];
	return NULL;
}
