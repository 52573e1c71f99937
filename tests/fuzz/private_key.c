/* Fuzz target: a private key in PEM. What is taken for one can sign. */
#include <stdlib.h>

#include <wisp/key.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);
	uint8_t signature[WISP_KEY_SIGNATURE_SIZE];
	const char *error = NULL;
	struct wisp_key *const key = wisp_key_read((const char *)copy, n, &error);

	must(key != NULL || error != NULL);
	must(key == NULL || wisp_key_sign(key, BYTES("challenge"), signature));
	wisp_key_free(key);
	free(copy);
	return 0;
}
