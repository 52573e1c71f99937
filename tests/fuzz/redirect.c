/* Fuzz target: where a redirect leads, as a server writes it. The first byte chooses where it comes from. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "url.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const bases[] = {
		"ws://wisp.example/", "wss://wisp.example:8443/a/b/?q=1", "ws://[::1]:80/a/", "wss://127.0.0.1/wisp/"};
	struct input input = {p, n};
	const char *const base_text = bases[input_byte(&input) % COUNT(bases)];
	char *const location = input_text(&input);
	struct url base, url, again;

	must(url_parse(base_text, &base) == NULL);
	if (url_resolve(&base, location, &url) == NULL) {
		must(url.tls == base.tls && url.host[0] != '\0' && url.port != 0 && url.path[0] == '/');
		must(strstr(url.path, "/../") == NULL || strchr(url.path, '?') < strstr(url.path, "/../"));
		must(url_resolve(&base, url.text, &again) == NULL);
		must(strcmp(again.text, url.text) == 0 && url_same_origin(&url, &again));
	}
	free(location);
	return 0;
}
