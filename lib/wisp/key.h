/*
 * Ed25519 keys (RFC 8032) for Wisp's key authentication (Wisp v2 specification, extension 0x03), read from text that
 * the caller has: PEM as OpenSSL writes it, and for public keys also OpenSSH's lines.
 */
#ifndef WISP_KEY_H
#define WISP_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_KEY_PUBLIC_SIZE 32
#define WISP_KEY_HASH_SIZE 32
#define WISP_KEY_SIGNATURE_SIZE 64

/* A private key. */
struct wisp_key;

/*
 * Read a private key from n characters of PEM, without a passphrase. Returns NULL when it is none, with *error saying
 * what is wrong; the text is static.
 */
WISP_API struct wisp_key *wisp_key_read(const char *pem, size_t n, const char **error);

/* Wipe and free a key. NULL is allowed. */
WISP_API void wisp_key_free(struct wisp_key *key);

/* The SHA-256 of a private key's public half, by which servers find it. */
WISP_API const uint8_t *wisp_key_hash(const struct wisp_key *key);

/* Sign n bytes. Returns false when OpenSSL cannot. */
WISP_API bool wisp_key_sign(
	const struct wisp_key *key, const uint8_t *p, size_t n, uint8_t signature[WISP_KEY_SIGNATURE_SIZE]);

/* The longest comment that is kept of a key. */
#define WISP_KEY_COMMENT_MAX 127

struct wisp_public_key {
	uint8_t bytes[WISP_KEY_PUBLIC_SIZE];
	uint8_t hash[WISP_KEY_HASH_SIZE];       /* SHA-256 of the bytes */
	char comment[WISP_KEY_COMMENT_MAX + 1]; /* from OpenSSH's format: any text, or "" */
};

/* "SHA256:", 32 bytes in base64 without padding, and the final NUL. */
#define WISP_KEY_FINGERPRINT_SIZE 51

/* Write a key's fingerprint as OpenSSH has it. Returns false when OpenSSL cannot compute it. */
WISP_API bool wisp_public_key_fingerprint(
	const struct wisp_public_key *key, char fingerprint[WISP_KEY_FINGERPRINT_SIZE]);

enum wisp_key_result {
	WISP_KEY_END, /* there is no other key in the text */
	WISP_KEY_FOUND,
	WISP_KEY_INVALID, /* something that should be a key is none */
};

/*
 * Take the next public key from the *n characters at *text, and move both on: a PEM block ("BEGIN PUBLIC KEY") or a
 * line "ssh-ed25519 BASE64 …". Blank lines and lines that begin with '#' are passed over; anything else is INVALID.
 */
WISP_API enum wisp_key_result wisp_public_key_next(const char **text, size_t *n, struct wisp_public_key *key);

enum wisp_signature {
	WISP_SIGNATURE_WRONG,
	WISP_SIGNATURE_RIGHT,
	WISP_SIGNATURE_UNKNOWN, /* OpenSSL cannot tell, without memory */
};

/* Whether a signature of the n bytes by the key is right. */
WISP_API enum wisp_signature wisp_public_key_verify(
	const struct wisp_public_key *key, const uint8_t *p, size_t n, const uint8_t *signature, size_t signature_size);

#ifdef __cplusplus
}
#endif

#endif
