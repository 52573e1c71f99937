/* Fuzz target: a list of public keys, key by key, and as the file that wispd reads. */
#include <stdlib.h>
#include <string.h>

#include <wisp/key.h>

#include "authorized.h"
#include "complaints.h"
#include "fuzz.h"

/* Each step moves on, to the end, and does not look beyond it. Returns how many keys there are, or 0 when it is not all
 * keys. */
static size_t
walk(const uint8_t *p, size_t n, const struct authorized *authorized)
{
	uint8_t *const copy = exact_copy(p, n);
	const char *text = (const char *)copy;
	struct wisp_public_key key;
	char fingerprint[WISP_KEY_FINGERPRINT_SIZE];
	enum wisp_key_result result;
	size_t left = n, count = 0;
	bool good = true;

	do {
		const size_t before = left;

		result = wisp_public_key_next(&text, &left, &key);
		must(text + left == (const char *)copy + n);
		must(result == WISP_KEY_END ? left == 0 : left < before);
		good &= result != WISP_KEY_INVALID;
		count += result == WISP_KEY_FOUND;
		if (result == WISP_KEY_FOUND) {
			must(memchr(key.comment, '\0', sizeof key.comment) != NULL);
			must(wisp_public_key_fingerprint(&key, fingerprint) &&
				strlen(fingerprint) == sizeof fingerprint - 1);
		}
		if (result == WISP_KEY_FOUND && authorized != NULL)
			must(memcmp(authorized_find(authorized, key.hash)->bytes, key.bytes, sizeof key.bytes) == 0);
	} while (result != WISP_KEY_END);
	free(copy);
	return good ? count : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fuzz_file file;
	struct authorized *authorized;

	complaints = 0;
	fuzz_file_open(&file, p, n);
	authorized = authorized_read("authorized-keys", file.path);
	fuzz_file_close(&file);
	must((walk(p, n, authorized) > 0) == (authorized != NULL));
	must(complaints == (authorized == NULL));
	authorized_free(authorized);
	return 0;
}
