#include <wisp/key.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define PEM_BEGIN "-----BEGIN "
#define PEM_END "-----END "
#define SSH_TYPE "ssh-ed25519"
/* What OpenSSH encodes: the type and the key, each behind its length in 4 bytes. */
#define SSH_BLOB_SIZE (4 + sizeof SSH_TYPE - 1 + 4 + WISP_KEY_PUBLIC_SIZE)
#define SSH_BASE64_SIZE ((SSH_BLOB_SIZE + 2) / 3 * 4)
#define SSH_START_SIZE (SSH_BLOB_SIZE - WISP_KEY_PUBLIC_SIZE)

static const char ssh_start[] = "\0\0\0\x0b" SSH_TYPE "\0\0\0\x20";

struct wisp_key {
	EVP_PKEY *pkey;
	uint8_t hash[WISP_KEY_HASH_SIZE];
};

static bool
hash_public(const uint8_t bytes[WISP_KEY_PUBLIC_SIZE], uint8_t hash[WISP_KEY_HASH_SIZE])
{
	const bool good = EVP_Digest(bytes, WISP_KEY_PUBLIC_SIZE, hash, NULL, EVP_sha256(), NULL) == 1;

	ERR_clear_error(); /* or the caller's TLS would take it for its own, here and below */
	return good;
}

/* Get the public half of a key. Returns false when it is not Ed25519. */
static bool
public_half(const EVP_PKEY *pkey, uint8_t bytes[WISP_KEY_PUBLIC_SIZE])
{
	size_t size = WISP_KEY_PUBLIC_SIZE;

	return EVP_PKEY_id(pkey) == EVP_PKEY_ED25519 && EVP_PKEY_get_raw_public_key(pkey, bytes, &size) == 1;
}

/* Instead of OpenSSL's, which would ask on the terminal. */
static int
no_passphrase(char *passphrase, int size, int writing, void *arg)
{
	(void)passphrase, (void)size, (void)writing, (void)arg;
	return -1;
}

static EVP_PKEY *
read_pem(const char *pem, size_t n, bool private)
{
	BIO *bio = n <= INT_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	EVP_PKEY *pkey = NULL;

	if (bio != NULL && private)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	else if (bio != NULL)
		pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	return pkey;
}

struct wisp_key *
wisp_key_read(const char *pem, size_t n, const char **error)
{
	struct wisp_key *key = calloc(1, sizeof *key);
	uint8_t bytes[WISP_KEY_PUBLIC_SIZE];

	*error = "out of memory";
	if (key == NULL)
		return NULL;
	key->pkey = read_pem(pem, n, true);
	if (key->pkey == NULL)
		*error = "there is no private key in it that can be read without a passphrase (PEM)";
	else if (!public_half(key->pkey, bytes))
		*error = "the key is not an Ed25519 key";
	else if (hash_public(bytes, key->hash))
		return key;
	wisp_key_free(key);
	return NULL;
}

void
wisp_key_free(struct wisp_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey); /* which wipes it */
	free(key);
}

const uint8_t *
wisp_key_hash(const struct wisp_key *key)
{
	return key->hash;
}

bool
wisp_key_sign(const struct wisp_key *key, const uint8_t *p, size_t n, uint8_t signature[WISP_KEY_SIGNATURE_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = WISP_KEY_SIGNATURE_SIZE;
	const bool good = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key->pkey) == 1 &&
			  EVP_DigestSign(context, signature, &size, p, n) == 1;

	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return good;
}

static enum wisp_signature
verify(const struct wisp_public_key *key, const uint8_t *p, size_t n, const uint8_t *signature, size_t signature_size)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, sizeof key->bytes);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	enum wisp_signature result = WISP_SIGNATURE_UNKNOWN;

	if (pkey != NULL && context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1)
		result = EVP_DigestVerify(context, signature, signature_size, p, n) == 1 ? WISP_SIGNATURE_RIGHT
											 : WISP_SIGNATURE_WRONG;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return result;
}

enum wisp_signature
wisp_public_key_verify(
	const struct wisp_public_key *key, const uint8_t *p, size_t n, const uint8_t *signature, size_t signature_size)
{
	const enum wisp_signature result = verify(key, p, n, signature, signature_size);

	/* OpenSSL says so too when it runs out of memory half-way. Then the second time is right, or ends before that.
	 */
	return result == WISP_SIGNATURE_WRONG ? verify(key, p, n, signature, signature_size) : result;
}

bool
wisp_public_key_fingerprint(const struct wisp_public_key *key, char fingerprint[WISP_KEY_FINGERPRINT_SIZE])
{
	static const char start[] = "SHA256:";
	uint8_t blob[SSH_BLOB_SIZE], digest[WISP_KEY_HASH_SIZE];
	char base64[(WISP_KEY_HASH_SIZE + 2) / 3 * 4 + 1];
	bool good;

	memcpy(blob, ssh_start, SSH_START_SIZE);
	memcpy(blob + SSH_START_SIZE, key->bytes, sizeof key->bytes);
	good = EVP_Digest(blob, sizeof blob, digest, NULL, EVP_sha256(), NULL) == 1;
	ERR_clear_error();
	if (!good)
		return false;
	EVP_EncodeBlock((unsigned char *)base64, digest, sizeof digest);
	memcpy(fingerprint, start, sizeof start - 1);
	memcpy(fingerprint + sizeof start - 1, base64, WISP_KEY_FINGERPRINT_SIZE - sizeof start);
	fingerprint[WISP_KEY_FINGERPRINT_SIZE - 1] = '\0';
	return true;
}

/* ---- lists of public keys ---- */

static bool
begins_with(const char *text, size_t n, const char *start)
{
	return n >= strlen(start) && memcmp(text, start, strlen(start)) == 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The size of the first line, with its line feed if there is one. */
static size_t
line_size(const char *text, size_t n)
{
	const char *end = memchr(text, '\n', n);

	return end != NULL ? (size_t)(end - text) + 1 : n;
}

/* The size of the PEM block at the start of the text. One that has no end goes up to the next, or to the text's end. */
static size_t
block_size(const char *text, size_t n)
{
	size_t at = line_size(text, n);

	while (at < n) {
		const size_t size = line_size(text + at, n - at);

		if (begins_with(text + at, size, PEM_BEGIN))
			return at;
		if (begins_with(text + at, size, PEM_END))
			return at + size;
		at += size;
	}
	return n;
}

static bool
parse_block(const char *text, size_t n, struct wisp_public_key *key)
{
	EVP_PKEY *pkey = read_pem(text, n, false);
	const bool good = pkey != NULL && public_half(pkey, key->bytes);

	key->comment[0] = '\0';
	EVP_PKEY_free(pkey);
	return good;
}

/* What the rest of the line says, without blanks around it. */
static void
keep_comment(const char *text, size_t n, struct wisp_public_key *key)
{
	while (n > 0 && is_blank(text[0]))
		text++, n--;
	while (n > 0 && is_blank(text[n - 1]))
		n--;
	if (n > WISP_KEY_COMMENT_MAX)
		n = WISP_KEY_COMMENT_MAX;
	memcpy(key->comment, text, n);
	key->comment[n] = '\0';
}

/* RFC 4253 section 6.6, RFC 8709 section 4: "ssh-ed25519", in base64 the same again and the key, and a comment. */
static bool
parse_ssh(const char *text, size_t n, struct wisp_public_key *key)
{
	uint8_t blob[SSH_BASE64_SIZE / 4 * 3];
	const size_t skip = sizeof SSH_TYPE, end = skip + SSH_BASE64_SIZE;

	if (n < end || text[skip - 1] != ' ')
		return false;
	if (n > end && !is_blank(text[end]))
		return false;
	/* OpenSSL reads '=' as 'A' wherever it stands, and decodes less when there are blanks or '-' at the ends. */
	if (memchr(text + skip, '=', SSH_BASE64_SIZE) != NULL)
		return false;
	if (EVP_DecodeBlock(blob, (const unsigned char *)text + skip, SSH_BASE64_SIZE) != (int)sizeof blob)
		return false;
	if (memcmp(blob, ssh_start, SSH_START_SIZE) != 0)
		return false;
	memcpy(key->bytes, blob + SSH_START_SIZE, sizeof key->bytes);
	keep_comment(text + end, n - end, key);
	return true;
}

static bool
is_comment(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && is_blank(text[i]))
		i++;
	return i == n || text[i] == '#';
}

enum wisp_key_result
wisp_public_key_next(const char **text, size_t *n, struct wisp_public_key *key)
{
	bool good = false;
	size_t size = 0;

	for (; *n > 0; *text += size, *n -= size) {
		size = line_size(*text, *n);
		if (!is_comment(*text, size))
			break;
	}
	if (*n == 0)
		return WISP_KEY_END;
	if (begins_with(*text, size, SSH_TYPE)) {
		good = parse_ssh(*text, size, key);
	} else if (begins_with(*text, size, PEM_BEGIN)) {
		size = block_size(*text, *n);
		good = parse_block(*text, size, key);
	}
	*text += size;
	*n -= size;
	return good && hash_public(key->bytes, key->hash) ? WISP_KEY_FOUND : WISP_KEY_INVALID;
}
