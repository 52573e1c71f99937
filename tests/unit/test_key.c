/* Ed25519 keys: which texts hold one, that PEM and OpenSSH's lines mean the same, and what signatures are right. */
#include "unit.h"

#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#include <wisp/key.h>

#include "keys.h"

/* ---- keys ---- */

#define RSA_BASE64                                                                                                     \
	"MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAJ5D6bnn9LW8SBRe\n"                                           \
	"WN4UddUUDUNaQvCyhku4o1leyS/qFgqU8oa9mC9OdvyxH3GDOoad5hj/K6wtScuU\n"                                           \
	"z2cQHHJ1BykjeYk2Vbm5tWjn2EDd+P5osPFYeWPEft/sEbeD76AmIwUhBoZE7/Kc\n"                                           \
	"lF8xY27T19UUdRhww8NaUrPp5UoNAgMBAAECgYASax7pRshg2g+dZzl6ZvErohDF\n"                                           \
	"FN0TfANLDqrb/L73N4vnIVx0N95dKwmH8OkS4c3O2tNrd07S09ZxvdjBSsu0i2zC\n"                                           \
	"vcz0X/rJKJ+tRMcDiU39zsppMqePqq6UIsxRH5kdTc7ipblYwztzuGcSti7JQHD3\n"                                           \
	"ZGgc+t16EMl/TN3oFQJBANF2iRLeo+QegaJ1oRR54dqu6BNkzolofPAoKRGsvGaX\n"                                           \
	"kB6Zh5diafb/+3Ms/yuMjZiUQJ2c+bEqrwdkTwpO1UsCQQDBbXGO/MPtHNUYD2rE\n"                                           \
	"sPbIbqtV3FTaHfKaQ1p4PDxVjq0VH+E0hT9+ogd6q+kxucOvy1J/Hig/f6xMGUDp\n"                                           \
	"wD8HAkEAyRLBAxw2uAWQ7CN/PejCpurAXd2nZsCnLuNeiVkIgnN8JeO8BdazYijZ\n"                                           \
	"ePb4/RUv2Ah4/tRx3WDcJHxmY77JgQJAaU6MZKx4fr8TxOWf2zX9JWIbJcOu7pEf\n"                                           \
	"Y50HxC4HKw1ibf3NPirNRsQwDjlJ3CimwS6Q22QvxWJdC5E0Jg7kQQJAVo0FUynk\n"                                           \
	"0wcjjGDZ0qaiZW2tG8YNPZR+VNU28D0s0TyvPrYel7IwTNU5LUMBu7M87jqcF/Ij\n"                                           \
	"oy4gUVCBJwdwDw=="
#define PUBLIC_RSA                                                                                                     \
	PUBLIC("MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCeQ+m55/S1vEgUXljeFHXVFA1D\n"                                    \
	       "WkLwsoZLuKNZXskv6hYKlPKGvZgvTnb8sR9xgzqGneYY/yusLUnLlM9nEBxydQcp\n"                                    \
	       "I3mJNlW5ubVo59hA3fj+aLDxWHljxH7f7BG3g++gJiMFIQaGRO/ynJRfMWNu09fV\n"                                    \
	       "FHUYcMPDWlKz6eVKDQIDAQAB")
#define PRIVATE_X25519 PRIVATE("MC4CAQAwBQYDK2VuBCIEICD6e63tknGAjhgX6Ff5ejMyS3QzuyTCnkfQ//wxVQhQ")
#define PUBLIC_X25519 PUBLIC("MCowBQYDK2VuAyEAwZx2xvx+z05fBL6PBS2dVwcDM7bdniqO8fdtuLcCf34=")
/* Key A with the passphrase "secret". */
#define ENCRYPTED_A                                                                                                    \
	BLOCK("ENCRYPTED PRIVATE KEY", "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjbBwXpP0clcgICCAAw\n"            \
				       "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEP+sO4mAYvKTm3O21k++gBkEQMkO\n"            \
				       "jtSS7NYldBTnBqBhPGeDU/dZeMpE229pEqyGJoJdl6b20EzQ3AdjpjplFIeYSyw1\n"            \
				       "CGhZjkwoRA8Y8IwxG/g=")

static const struct wisp_public_key keys[] = {
	{{0x58, 0xe5, 0x32, 0x0e, 0x3a, 0x05, 0x9e, 0x27, 0x19, 0xd5, 0x59, 0x6f, 0xc2, 0xc5, 0xf5, 0x5c, 0xb5, 0xbf,
		 0x52, 0xef, 0xed, 0xbe, 0xbf, 0x0e, 0x26, 0x2c, 0x3e, 0xef, 0x15, 0x71, 0x97, 0x99},
		{0x85, 0x34, 0xd2, 0xf4, 0xa8, 0xc1, 0x61, 0x46, 0xd3, 0xb9, 0xd1, 0xeb, 0x43, 0x11, 0xcb, 0x02, 0xa5,
			0x68, 0x1a, 0xfb, 0x27, 0x35, 0x86, 0xbd, 0xcb, 0xd4, 0xa1, 0x1d, 0x9e, 0xe7, 0x44, 0x9f},
		""},
	{{0x7f, 0xe9, 0x41, 0x2e, 0x39, 0xb5, 0x9a, 0x6a, 0x28, 0xbe, 0x7d, 0x04, 0x03, 0xb0, 0x90, 0xda, 0xba, 0x48,
		 0x07, 0x43, 0x67, 0x15, 0xbb, 0xd4, 0xbb, 0x04, 0x9d, 0x58, 0x17, 0x52, 0x93, 0x85},
		{0x4b, 0xde, 0x41, 0x30, 0xfe, 0xaa, 0x1a, 0x69, 0xc7, 0x7f, 0xa9, 0x98, 0xee, 0x07, 0x00, 0x62, 0x90,
			0x1e, 0x84, 0x08, 0x1d, 0xd9, 0x48, 0x1e, 0x6b, 0x37, 0x7a, 0xcc, 0xac, 0xe7, 0xda, 0x9b},
		""},
};

/* ---- private keys ---- */

static struct wisp_key *
read_key(const char *pem, size_t n, const char **error)
{
	uint8_t *const copy = exact_copy(pem, n);
	struct wisp_key *const key = wisp_key_read((const char *)copy, n, error);

	free(copy);
	return key;
}

static struct wisp_key *
good_key(const char *pem)
{
	const char *error;
	struct wisp_key *const key = read_key(pem, strlen(pem), &error);

	assert_non_null(key);
	return key;
}

#define NO_KEY "there is no private key in it that can be read without a passphrase (PEM)"
#define NOT_ED25519 "the key is not an Ed25519 key"
#define CRLF_PRIVATE_A                                                                                                 \
	"-----BEGIN PRIVATE KEY-----\r\nMC4CAQAwBQYDK2VwBCIEILzY58/5UrbGw9DwbZRGifYCykV5f+N6aqQOgCPdFjaE\r\n"          \
	"-----END PRIVATE KEY-----\r\n"

static void
private_keys_are_read(void **state)
{
	static const struct {
		const char *pem;
		int key; /* -1 for none */
		const char *error;
	} cases[] = {
		{PRIVATE_A, 0, NULL},
		{PRIVATE_B, 1, NULL},
		{CRLF_PRIVATE_A, 0, NULL},
		{"A comment\n\n" PRIVATE_A, 0, NULL},
		{PUBLIC_B PRIVATE_A, 0, NULL},
		{PRIVATE_A PRIVATE_B, 0, NULL},
		{PRIVATE_A "and what not", 0, NULL},
		{"", -1, NO_KEY},
		{"\n", -1, NO_KEY},
		{"garbage", -1, NO_KEY},
		{PUBLIC_A, -1, NO_KEY},
		{SSH_A, -1, NO_KEY},
		{PRIVATE(""), -1, NO_KEY},
		{PRIVATE("garbage"), -1, NO_KEY},
		{PRIVATE("MC4CAQAwBQYDK2VwBCIEILzY58/5UrbGw9DwbZRGifYCykV5f+N6aqQOgCPdFjaE!"), -1, NO_KEY},
		{BLOCK("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU="), -1, NO_KEY},
		{BEGIN("PRIVATE KEY") "MC4CAQAwBQYDK2VwBCIEILzY58/5UrbGw9DwbZRGifYCykV5f+N6aqQOgCPdFjaE\n", -1, NO_KEY},
		{BEGIN("PRIVATE KEY") END("PUBLIC KEY"), -1, NO_KEY},
		{PRIVATE(RSA_BASE64), -1, NOT_ED25519},
		{PRIVATE_X25519, -1, NOT_ED25519},
		{ENCRYPTED_A, -1, NO_KEY},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *error = NULL;
		struct wisp_key *const key = read_key(cases[i].pem, strlen(cases[i].pem), &error);

		if (cases[i].key < 0) {
			assert_null(key);
			assert_string_equal(error, cases[i].error);
			continue;
		}
		assert_non_null(key);
		assert_memory_equal(wisp_key_hash(key), keys[cases[i].key].hash, WISP_KEY_HASH_SIZE);
		wisp_key_free(key);
	}
	wisp_key_free(NULL);
}

/* Only the last line feed may be missing. */
/* More than OpenSSL can count is no key, and is not looked at. */
static void
endless_text_is_no_key(void **state)
{
	const char *error = NULL;

	(void)state;
	assert_null(wisp_key_read(PRIVATE_A, (size_t)INT_MAX + 1, &error));
	assert_non_null(error);
}

static void
truncated_private_keys_are_none(void **state)
{
	const size_t size = sizeof PRIVATE_A - 1;
	const char *error;

	(void)state;
	for (size_t n = 0; n <= size; n++) {
		struct wisp_key *const key = read_key(PRIVATE_A, n, &error);

		assert_int_equal(key != NULL, n >= size - 1);
		wisp_key_free(key);
	}
}

/* In a process without a terminal, OpenSSL would read the passphrase from the standard input. */
static int
read_encrypted_key(void)
{
	int ends[2];
	const char *error;

	if (setsid() < 0 || pipe(ends) != 0 || write(ends[1], "secret\n", 7) != 7 || dup2(ends[0], STDIN_FILENO) < 0)
		return 2;
	clearerr(stdin);
	close(ends[1]);
	return read_key(ENCRYPTED_A, sizeof ENCRYPTED_A - 1, &error) != NULL;
}

static void
nobody_is_asked_for_a_passphrase(void **state)
{
	const pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(read_encrypted_key());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- lists of public keys ---- */

/* Read a list, and write down 'a' and 'b' for the keys, '?' for what is none, and "END". Each step moves on. */
static void
read_list(const char *text, size_t n, struct buffer *log)
{
	uint8_t *const copy = exact_copy(text, n);
	const char *at = (const char *)copy;
	size_t left = n;

	for (;;) {
		const size_t before = left;
		struct wisp_public_key key;
		const enum wisp_key_result result = wisp_public_key_next(&at, &left, &key);

		assert_ptr_equal(at + left, copy + n);
		if (result == WISP_KEY_END)
			break;
		assert_true(left < before);
		if (result == WISP_KEY_INVALID)
			buffer_printf(log, "?");
		for (unsigned i = 0; result == WISP_KEY_FOUND && i < COUNT(keys); i++)
			if (memcmp(key.bytes, keys[i].bytes, sizeof key.bytes) == 0 &&
				memcmp(key.hash, keys[i].hash, sizeof key.hash) == 0)
				buffer_printf(log, "%c", 'a' + i);
	}
	assert_int_equal(left, 0);
	buffer_printf(log, "END");
	free(copy);
}

static void
expect_list(const char *text, size_t n, const char *expected)
{
	struct buffer log = {0};

	read_list(text, n, &log);
	assert_string_equal(buffer_text(&log), expected);
	buffer_free(&log);
}

#define TEXT(literal) (literal), sizeof(literal) - 1
#define SSH(base64) TEXT("ssh-ed25519 " base64)

static void
public_keys_are_read(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *keys;
	} cases[] = {
		{TEXT(""), "END"},
		{TEXT("\n"), "END"},
		{TEXT("\r\n \t\n\n"), "END"},
		{TEXT("# no key\n"), "END"},
		{TEXT(" \t# no key"), "END"},
		{TEXT("#" SSH_A), "END"},
		/* The two forms mean the same. */
		{TEXT(PUBLIC_A), "aEND"},
		{TEXT(SSH_A), "aEND"},
		{TEXT(PUBLIC_A SSH_B PUBLIC_B SSH_A), "abbaEND"},
		{TEXT(SSH_A SSH_B PUBLIC_A PUBLIC_B), "ababEND"},
		{TEXT("# alice\n" PUBLIC_A "\n\n# bob\n" SSH_B "\n# nobody\n"), "abEND"},
		/* Ends of lines. */
		{SSH(BASE64_A), "aEND"},
		{SSH(BASE64_A "\n" SSH_B), "abEND"},
		{SSH(BASE64_A "\r\n" SSH_B), "abEND"},
		{SSH(BASE64_A "\r"), "aEND"},
		{SSH(BASE64_A " "), "aEND"},
		{SSH(BASE64_A "\ta comment"), "aEND"},
		{TEXT("-----BEGIN PUBLIC KEY-----\r\nMCowBQYDK2VwAyEAWOUyDjoFnicZ1VlvwsX1XLW/Uu/tvr8OJiw+7xVxl5k=\r\n"
		      "-----END PUBLIC KEY-----\r\n\r\n" SSH_B),
			"abEND"},
		{TEXT(BEGIN("PUBLIC KEY") "MCowBQYDK2VwAyEAWOUyDjoFnicZ1VlvwsX1XLW/Uu/tvr8OJiw+7xVxl5k=\n"
					  "-----END PUBLIC KEY-----"),
			"aEND"},
		/* Neither of the two, or of another kind: what follows is read all the same. */
		{TEXT("garbage\n" SSH_B), "?bEND"},
		{TEXT("\0"), "?END"},
		{TEXT("\xff\xfe\n" SSH_B), "?bEND"},
		{TEXT(" " SSH_A SSH_B), "?bEND"},
		{TEXT("no-pty " SSH_A SSH_B), "?bEND"},
		{TEXT("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== user@host\n" SSH_B), "?bEND"},
		{TEXT("ssh-ed25519-cert-v01@openssh.com " BASE64_A "\n" SSH_B), "?bEND"},
		{TEXT(PUBLIC_RSA SSH_B), "?bEND"},
		{TEXT(PUBLIC_X25519 PUBLIC_B), "?bEND"},
		{TEXT(PRIVATE_A PUBLIC_B), "?bEND"},
		{TEXT(ENCRYPTED_A PUBLIC_B), "?bEND"},
		{TEXT(PUBLIC("") PUBLIC_B), "?bEND"},
		{TEXT(PUBLIC("MCowBQYDK2VwAyEAWOUyDjoFnicZ1VlvwsX1XLW/Uu/tvr8OJiw+7xVxlw==") PUBLIC_B), "?bEND"},
		{TEXT("-----BEGIN \n" END("PUBLIC KEY") PUBLIC_B), "?bEND"},
		/* Blocks that do not end where they should. */
		{TEXT(BEGIN("PUBLIC KEY")), "?END"},
		{TEXT("-----BEGIN "), "?END"},
		{TEXT(BEGIN("PUBLIC KEY") "MCowBQYDK2VwAyEAWOUyDjoFnicZ1VlvwsX1XLW/Uu/tvr8OJiw+7xVxl5k=\n" SSH_B),
			"?END"},
		{TEXT(BEGIN("PUBLIC KEY") PUBLIC_B), "?bEND"},
		{TEXT(BEGIN(
			 "PUBLIC KEY") "MCowBQYDK2VwAyEAWOUyDjoFnicZ1VlvwsX1XLW/Uu/tvr8OJiw+7xVxl5k=\n" PUBLIC_B SSH_A),
			"?baEND"},
		/* OpenSSH's lines: each character counts. */
		{TEXT("ssh-ed25519"), "?END"},
		{TEXT("ssh-ed25519 "), "?END"},
		{TEXT("ssh-ed25519\n" BASE64_A), "??END"},
		{TEXT("ssh-ed25519\t" BASE64_A), "?END"},
		{SSH(" " BASE64_A), "?END"},
		{SSH(BASE64_A "="), "?END"},
		{SSH(BASE64_A "A"), "?END"},
		{SSH(BASE64_A "\0"), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZe"), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZe="), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8Vc==="), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8V    "), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8V    a comment"), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8V----"), "?END"},
		{SSH("    AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8V"), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZe!"), "?END"},
		/* What is in the base64 is of another type, or says that the key is shorter, or longer. */
		{SSH("AAAAC3NzaC1lZDI1NTE4AAAAIFjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZeZ"), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAH1jlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZeZ"), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAIVjlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZeZ"), "?END"},
		{SSH("AAAAC3NzaC1lZDI1NTE5AAAAH1jlMg46BZ4nGdVZb8LF9Vy1v1Lv7b6/DiYsPu8VcZc="), "?END"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_list(cases[i].text, cases[i].n, cases[i].keys);
}

/* A list that is cut anywhere has the keys before the cut, and one that is invalid when the cut goes through it. */
static void
truncated_lists_have_their_whole_keys(void **state)
{
	static const char text[] = SSH_A PUBLIC_B;
	const size_t first = sizeof SSH_A - 1, second = sizeof PUBLIC_B - 1;

	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		const char *expected = n == 0 ? "END" : "?END";

		/* Its comment may be missing, and the last line feed. */
		if (n >= first - (sizeof " user@host\n" - 1))
			expected = n <= first ? "aEND" : "a?END";
		if (n >= first + second - 1)
			expected = "abEND";
		expect_list(text, n, expected);
	}
}

/* Whatever becomes of a list, each step moves on, and a key has its own hash. */
static void
changed_lists_are_read_to_their_end(void **state)
{
	static const char text[] = "# keys\n" SSH_A PUBLIC_B "\n" SSH_B PUBLIC_A;
	struct rng rng = rng_seeded(7);

	(void)state;
	for (int round = 0; round < 5000; round++) {
		char changed[sizeof text - 1];
		struct buffer log = {0};

		memcpy(changed, text, sizeof changed);
		for (size_t i = rng_below(&rng, 4); i < 4; i++)
			changed[rng_below(&rng, sizeof changed)] = (char)rng_next(&rng);
		read_list(changed, sizeof changed, &log);
		buffer_free(&log);
	}
}

/* ---- signatures ---- */

static bool
verify(const struct wisp_public_key *key, const uint8_t *p, size_t n, const uint8_t *signature, size_t size)
{
	uint8_t *const message = exact_copy(p, n), *const copy = exact_copy(signature, size);
	const enum wisp_signature result = wisp_public_key_verify(key, message, n, copy, size);

	free(message);
	free(copy);
	assert_int_not_equal(result, WISP_SIGNATURE_UNKNOWN);
	return result == WISP_SIGNATURE_RIGHT;
}

static void
only_the_key_that_signed_verifies(void **state)
{
	static const size_t sizes[] = {0, 1, 63, 64, 65, 1000};
	struct wisp_key *const ours[] = {good_key(PRIVATE_A), good_key(PRIVATE_B)};
	uint8_t challenge[1000], signature[WISP_KEY_SIGNATURE_SIZE];
	struct rng rng = rng_seeded(3);

	(void)state;
	rng_fill(&rng, challenge, sizeof challenge);
	for (unsigned i = 0; i < COUNT(ours) * COUNT(sizes); i++) {
		const size_t n = sizes[i / 2];

		assert_true(wisp_key_sign(ours[i % 2], challenge, n, signature));
		assert_true(verify(&keys[i % 2], challenge, n, signature, sizeof signature));
		assert_false(verify(&keys[1 - i % 2], challenge, n, signature, sizeof signature));
		if (n > 0)
			assert_false(verify(&keys[i % 2], challenge, n - 1, signature, sizeof signature));
		if (n < sizeof challenge)
			assert_false(verify(&keys[i % 2], challenge, n + 1, signature, sizeof signature));
	}
	wisp_key_free(ours[0]);
	wisp_key_free(ours[1]);
}

static void
each_bit_of_a_signature_counts(void **state)
{
	struct wisp_key *const key = good_key(PRIVATE_A);
	uint8_t challenge[64] = "challenge", signature[2 * WISP_KEY_SIGNATURE_SIZE] = {0};

	(void)state;
	assert_true(wisp_key_sign(key, challenge, sizeof challenge, signature));
	for (unsigned bit = 0; bit < 8 * WISP_KEY_SIGNATURE_SIZE; bit++) {
		signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(verify(&keys[0], challenge, sizeof challenge, signature, WISP_KEY_SIGNATURE_SIZE));
		signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (unsigned bit = 0; bit < 8 * sizeof challenge; bit++) {
		challenge[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(verify(&keys[0], challenge, sizeof challenge, signature, WISP_KEY_SIGNATURE_SIZE));
		challenge[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n <= sizeof signature; n++)
		assert_int_equal(
			verify(&keys[0], challenge, sizeof challenge, signature, n), n == WISP_KEY_SIGNATURE_SIZE);
	wisp_key_free(key);
}

/* RFC 8032 section 7.1, tests 1 to 3. */
static const struct vector {
	const char *pem;
	struct wisp_public_key key;
	const uint8_t *message;
	size_t n;
	const char *signature;
} vectors[] = {
	{PRIVATE("MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g"),
		{.bytes = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
			 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51,
			 0x1a}},
		BYTES(""),
		"\xe5\x56\x43\x00\xc3\x60\xac\x72\x90\x86\xe2\xcc\x80\x6e\x82\x8a\x84\x87\x7f\x1e\xb8\xe5\xd9\x74\xd8"
		"\x73\xe0\x65\x22\x49\x01\x55\x5f\xb8\x82\x15\x90\xa3\x3b\xac\xc6\x1e\x39\x70\x1c\xf9\xb4\x6b\xd2\x5b"
		"\xf5\xf0\x59\x5b\xbe\x24\x65\x51\x41\x43\x8e\x7a\x10\x0b"},
	{PRIVATE("MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7"),
		{.bytes = {0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e,
			 0xbc, 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66,
			 0x0c}},
		BYTES("\x72"),
		"\x92\xa0\x09\xa9\xf0\xd4\xca\xb8\x72\x0e\x82\x0b\x5f\x64\x25\x40\xa2\xb2\x7b\x54\x16\x50\x3f\x8f\xb3"
		"\x76\x22\x23\xeb\xdb\x69\xda\x08\x5a\xc1\xe4\x3e\x15\x99\x6e\x45\x8f\x36\x13\xd0\xf1\x1d\x8c\x38\x7b"
		"\x2e\xae\xb4\x30\x2a\xee\xb0\x0d\x29\x16\x12\xbb\x0c\x00"},
	{PRIVATE("MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3"),
		{.bytes = {0xfc, 0x51, 0xcd, 0x8e, 0x62, 0x18, 0xa1, 0xa3, 0x8d, 0xa4, 0x7e, 0xd0, 0x02, 0x30, 0xf0,
			 0x58, 0x08, 0x16, 0xed, 0x13, 0xba, 0x33, 0x03, 0xac, 0x5d, 0xeb, 0x91, 0x15, 0x48, 0x90, 0x80,
			 0x25}},
		BYTES("\xaf\x82"),
		"\x62\x91\xd6\x57\xde\xec\x24\x02\x48\x27\xe6\x9c\x3a\xbe\x01\xa3\x0c\xe5\x48\xa2\x84\x74\x3a\x44\x5e"
		"\x36\x80\xd7\xdb\x5a\xc3\xac\x18\xff\x9b\x53\x8d\x16\xf2\x90\xae\x67\xf7\x60\x98\x4d\xc6\x59\x4a\x7c"
		"\x15\xe9\x71\x6e\xd2\x8d\xc0\x27\xbe\xce\xea\x1e\xc4\x0a"},
};

/* Add the order of the group to the second half of a signature: the equation still holds, but RFC 8032 forbids it. */
static void
add_order(uint8_t s[32])
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde,
		0xf9, 0xde, 0x14, [31] = 0x10};
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof order; i++) {
		sum += (unsigned)s[i] + order[i];
		s[i] = (uint8_t)sum;
		sum >>= 8;
	}
}

static void
signatures_are_those_of_rfc_8032(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *const v = &vectors[i];
		struct wisp_key *const key = good_key(v->pem);
		uint8_t signature[WISP_KEY_SIGNATURE_SIZE];

		assert_true(wisp_key_sign(key, v->message, v->n, signature));
		assert_memory_equal(signature, v->signature, sizeof signature);
		assert_true(verify(&v->key, v->message, v->n, signature, sizeof signature));
		assert_false(verify(&vectors[(i + 1) % 3].key, v->message, v->n, signature, sizeof signature));
		add_order(signature + 32);
		assert_false(verify(&v->key, v->message, v->n, signature, sizeof signature));
		wisp_key_free(key);
	}
}

/* ---- what people call them ---- */

static void
fingerprints_are_those_of_openssh(void **state)
{
	/* As ssh-keygen -lf prints them. */
	static const char *const fingerprints[] = {
		"SHA256:0xhgk0k2Ab5+HpzVXe9BhPZNbBYk5cObBhuMwPHnw5c",
		"SHA256:/a5Xn+Hwe0xPEYNCi2W6pYUKN7WPpWQ55pnKOrarvis",
	};
	char fingerprint[WISP_KEY_FINGERPRINT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		assert_true(wisp_public_key_fingerprint(&keys[i], fingerprint));
		assert_string_equal(fingerprint, fingerprints[i]);
	}
}

static void
expect_comment(const char *text, size_t n, const char *comment)
{
	uint8_t *const copy = exact_copy(text, n);
	const char *at = (const char *)copy;
	struct wisp_public_key key;

	memset(&key, 'x', sizeof key);
	assert_int_equal(wisp_public_key_next(&at, &n, &key), WISP_KEY_FOUND);
	assert_string_equal(key.comment, comment);
	free(copy);
}

#define HUNDRED "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"

static void
comments_are_kept(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *comment;
	} cases[] = {
		{TEXT(SSH_A), "user@host"},
		{TEXT(SSH_B), ""},
		{TEXT(PUBLIC_A), ""},
		{SSH(BASE64_A), ""},
		{SSH(BASE64_A " "), ""},
		{SSH(BASE64_A " \t two words \t\r\n# next"), "two words"},
		{SSH(BASE64_A " \xc3\xa9\x1b[31m\n"), "\xc3\xa9\x1b[31m"},
		{SSH(BASE64_A " a\0b\n"), "a"},
		{SSH(BASE64_A " " HUNDRED "123456789012345678901234567\n"), HUNDRED "123456789012345678901234567"},
		{SSH(BASE64_A " " HUNDRED "123456789012345678901234567890\n"), HUNDRED "123456789012345678901234567"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		expect_comment(cases[i].text, cases[i].n, cases[i].comment);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_keys_are_read),
		cmocka_unit_test(endless_text_is_no_key),
		cmocka_unit_test(truncated_private_keys_are_none),
		cmocka_unit_test(nobody_is_asked_for_a_passphrase),
		cmocka_unit_test(public_keys_are_read),
		cmocka_unit_test(truncated_lists_have_their_whole_keys),
		cmocka_unit_test(changed_lists_are_read_to_their_end),
		cmocka_unit_test(only_the_key_that_signed_verifies),
		cmocka_unit_test(each_bit_of_a_signature_counts),
		cmocka_unit_test(signatures_are_those_of_rfc_8032),
		cmocka_unit_test(fingerprints_are_those_of_openssh),
		cmocka_unit_test(comments_are_kept),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
