/* Fuzz target: no_proxy's list. The input is two lists and a host, each but the last ended by a NUL. */
#include "no_proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static bool
has_joined(const char *a, const char *b, const char *host)
{
	const size_t size = strlen(a) + strlen(b) + 2;
	char *const list = malloc(size);
	bool has;

	must(list != NULL);
	snprintf(list, size, "%s,%s", a, b);
	has = no_proxy_has(list, host);
	free(list);
	return has;
}

/* Whether it can stand on a list. */
static bool
is_item(const char *host)
{
	return host[strspn(host, ".")] != '\0' && strlen(host) < 256 && host[strcspn(host, ", \t\r\n")] == '\0';
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	char *const a = input_text(&input), *const b = input_text(&input), *const host = input_text(&input);

	must(has_joined(a, b, host) == (no_proxy_has(a, host) || no_proxy_has(b, host)));
	must(has_joined(a, "*", host));
	must(!is_item(host) || has_joined(a, host, host));
	free(a);
	free(b);
	free(host);
	return 0;
}
