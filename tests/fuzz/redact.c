/* Fuzz target: what errors show of a value. The input is what stands before and behind a secret, ended by a NUL. */
#include "redact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define SECRET "s3cret"

static void
check_hidden(const char *before, const char *behind)
{
	const size_t size = strlen(before) + strlen(behind) + sizeof SECRET;
	char *const text = malloc(size);
	char shown[REDACT_SIZE];

	must(text != NULL);
	snprintf(text, size, "%s" SECRET "%s", before, behind);
	must(strstr(redact(text, shown, sizeof shown), SECRET) == NULL);
	must(strlen(shown) < sizeof shown);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	char *const before = input_text(&input), *const behind = input_text(&input);

	/* A user name and password, whatever is before and behind them, but for what makes them a scheme. */
	if (strchr(behind, '@') != NULL && strstr(strrchr(behind, '@'), SECRET) == NULL &&
		strstr(behind, "://") == NULL && strstr(before, SECRET) == NULL)
		check_hidden(before, behind);
	/* Their "@HOST" was forgotten. */
	if (strpbrk(before, ":/?#@[") == NULL && strstr(before, SECRET) == NULL) {
		char *const url = malloc(strlen(before) + sizeof "wss://:");

		must(url != NULL);
		snprintf(url, strlen(before) + sizeof "wss://:", "wss://%s:", before);
		check_hidden(url, "/");
		free(url);
	}
	free(before);
	free(behind);
	return 0;
}
