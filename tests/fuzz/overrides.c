/* Fuzz target: --resolve. The input is two values, each ended by a NUL. */
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "fuzz.h"
#include "overrides.h"

/* What was taken has addresses, all of them with its port, and is found. */
static void
check_override(const struct overrides *overrides, const struct override *override)
{
	const struct addresses *found = overrides_find(overrides, override->host, override->port);

	must(override->host[0] != '\0');
	must(found == &override->addresses && found->count > 0 && found->count <= ADDRESSES_MAX);
	for (size_t i = 0; i < found->count; i++) {
		const struct sockaddr_storage *storage = &found->items[i].storage;

		must(storage->ss_family == AF_INET || storage->ss_family == AF_INET6);
		/* The port stands at the same place in both. */
		must(ntohs(((const struct sockaddr_in *)storage)->sin_port) == override->port);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	struct overrides overrides = {.count = 0};

	for (int i = 0; i < 2; i++) {
		char *const text = input_text(&input);

		if (overrides_check(text) == NULL)
			overrides_add(&overrides, text);
		free(text);
	}
	for (size_t i = 0; i < overrides.count; i++)
		check_override(&overrides, &overrides.items[i]);
	return 0;
}
