#include "login.h"

#include <stdio.h>
#include <string.h>

#include "log.h"

/* A user name, with quotes and the final NUL. */
#define USER_TEXT_SIZE (WISP_USER_MAX + 3)
/* A fingerprint, or the hash in hexadecimal, and a comment in parentheses. */
#define KEY_TEXT_SIZE (2 * WISP_KEY_HASH_SIZE + WISP_KEY_COMMENT_MAX + 32)

/* Any bytes: what cannot be printed is left to the log, but for NUL. */
static const char *
user_text(const struct wisp_identity *identity, char text[USER_TEXT_SIZE])
{
	size_t n = 0;

	text[n++] = '"';
	memcpy(text + n, identity->user, identity->user_size);
	for (const size_t end = n + identity->user_size; n < end; n++)
		if (text[n] == '\0')
			text[n] = '?';
	text[n++] = '"';
	text[n] = '\0';
	return text;
}

static const char *
key_text(const struct wisp_public_key *key, char text[KEY_TEXT_SIZE])
{
	char fingerprint[WISP_KEY_FINGERPRINT_SIZE];
	const bool commented = key->comment[0] != '\0';

	if (!wisp_public_key_fingerprint(key, fingerprint))
		strcpy(fingerprint, "SHA256:?"); /* without memory */
	snprintf(text, KEY_TEXT_SIZE, "%s%s%s%s", fingerprint, commented ? " (" : "", key->comment,
		commented ? ")" : "");
	return text;
}

/* Of a key that is not known there is only the hash by which Wisp names it. */
static const char *
hash_text(const uint8_t hash[WISP_KEY_HASH_SIZE], char text[KEY_TEXT_SIZE])
{
	for (size_t i = 0; i < WISP_KEY_HASH_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	return text;
}

void
login_log_success(const char *client, const struct wisp_handshake *handshake)
{
	const struct wisp_identity *identity = &handshake->identity;
	char user[USER_TEXT_SIZE], key[KEY_TEXT_SIZE];

	if (identity->has_user)
		log_info("%s: logged in as user %s", client, user_text(identity, user));
	if (identity->is_key_known)
		log_info("%s: logged in with key %s", client, key_text(&identity->key, key));
}

bool
login_log_failure(const char *client, const struct wisp_handshake *handshake)
{
	const struct wisp_identity *identity = &handshake->identity;
	char key[KEY_TEXT_SIZE];

	switch (handshake->close_reason) {
	case WISP_REASON_CREDENTIALS_REQUIRED:
		log_info("%s: login failed: no credentials%s", client,
			handshake->version == 1 ? ", which Wisp v1 does not have" : "");
		return true;
	case WISP_REASON_BAD_PASSWORD:
		/* Without the name that was given: people type their password there. */
		log_info("%s: login failed: wrong user name or password", client);
		return true;
	case WISP_REASON_BAD_SIGNATURE:
		if (identity->is_key_known)
			log_info("%s: login failed: wrong signature by key %s", client, key_text(&identity->key, key));
		else if (identity->has_key)
			log_info("%s: login failed: unknown key with the SHA-256 %s", client,
				hash_text(identity->key.hash, key));
		else
			log_info("%s: login failed: malformed signature", client);
		return true;
	default:
		return false;
	}
}
