/* Fuzz target: the URL of a Wisp server. What was read of it is the same when it is read again. */
#include "url.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	char *const text = input_text(&input);
	struct url url, again;

	if (url_parse(text, &url) == NULL) {
		must(url.host[0] != '\0' && url.port != 0);
		must(url.path[0] == '/' && url.path[strcspn(url.path, "?") - 1] == '/');
		must(url_parse(url.text, &again) == NULL);
		must(strcmp(again.text, url.text) == 0 && strcmp(again.path, url.path) == 0);
		must(url_same_origin(&url, &again));
	}
	free(text);
	return 0;
}
