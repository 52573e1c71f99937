#include "accounts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "file.h"
#include "log.h"

#define ACCOUNTS_MAX 10000
#define DIGEST_SIZE 32
/* The longest that a SOCKS client can send (RFC 1929), and INFO of Wisp. */
#define USER_MAX 255

/* Digests, so that comparing takes as long for any length. */
struct account {
	uint8_t user[DIGEST_SIZE];
	uint8_t password[DIGEST_SIZE];
};

struct accounts {
	size_t count;
	struct account items[];
};

static bool
digest(const char *text, size_t n, uint8_t out[DIGEST_SIZE])
{
	const bool good = EVP_Digest(text, n, out, NULL, EVP_sha256(), NULL) == 1;

	ERR_clear_error(); /* or TLS would take it for its own */
	return good;
}

/* Take a line, without its end. Returns NULL, or what is wrong with it. */
static const char *
add_line(struct accounts *accounts, const char *line, size_t n)
{
	struct account *account = &accounts->items[accounts->count];
	const char *colon = memchr(line, ':', n);
	size_t user_size;

	if (n == 0 || line[0] == '#')
		return NULL;
	if (colon == NULL || colon == line)
		return "it is not 'user:password'";
	user_size = (size_t)(colon - line);
	if (user_size > USER_MAX)
		return "the user name is too long";
	if (user_size + 1 == n)
		return "the password is empty: put one after the colon, or remove the line";
	if (!digest(line, user_size, account->user) || !digest(colon + 1, n - user_size - 1, account->password))
		return "it cannot be hashed";
	accounts->count++;
	return NULL;
}

static size_t
count_lines(const char *text, size_t n)
{
	size_t count = 1;

	for (size_t i = 0; i < n; i++)
		count += text[i] == '\n';
	return count;
}

/* Read all lines. Returns the number of the one that is wrong, with *wrong, or 0. */
static size_t
add_lines(struct accounts *accounts, const char *text, size_t size, const char **wrong)
{
	size_t number = 1;

	for (size_t at = 0; at < size; number++) {
		const char *end = memchr(text + at, '\n', size - at);
		const size_t line_size = end != NULL ? (size_t)(end - text) - at : size - at;
		const bool crlf = line_size > 0 && text[at + line_size - 1] == '\r';

		*wrong = add_line(accounts, text + at, line_size - crlf);
		if (*wrong != NULL)
			return number;
		at += line_size + 1;
	}
	return 0;
}

struct accounts *
accounts_read(const char *option, const char *path)
{
	size_t size, lines, number = 0;
	char *text = file_read(option, path, true, &size);
	struct accounts *accounts = NULL;
	const char *wrong = NULL;

	if (text == NULL)
		return NULL;
	lines = count_lines(text, size);
	if (lines <= ACCOUNTS_MAX)
		accounts = calloc(1, sizeof *accounts + lines * sizeof accounts->items[0]);
	if (accounts != NULL)
		number = add_lines(accounts, text, size, &wrong);
	file_free(text, size);
	if (accounts == NULL)
		log_error("--%s: cannot use %s: %s", option, path,
			lines > ACCOUNTS_MAX ? "it has too many lines" : "out of memory");
	else if (number != 0)
		log_error("--%s: %s, line %zu: %s", option, path, number, wrong);
	else if (accounts->count == 0)
		log_error("--%s: there is no 'user:password' in %s", option, path);
	else
		return accounts;
	accounts_free(accounts);
	return NULL;
}

void
accounts_free(struct accounts *accounts)
{
	if (accounts == NULL)
		return;
	OPENSSL_cleanse(accounts->items, accounts->count * sizeof accounts->items[0]);
	free(accounts);
}

enum wisp_password
accounts_check(
	const struct accounts *accounts, const char *user, size_t user_size, const char *password, size_t password_size)
{
	struct account given;
	unsigned found = 0;

	if (!digest(user, user_size, given.user) || !digest(password, password_size, given.password))
		return WISP_PASSWORD_UNKNOWN;
	for (size_t i = 0; i < accounts->count; i++)
		found |= CRYPTO_memcmp(&accounts->items[i], &given, sizeof given) == 0;
	OPENSSL_cleanse(&given, sizeof given);
	return found != 0 ? WISP_PASSWORD_RIGHT : WISP_PASSWORD_WRONG;
}
