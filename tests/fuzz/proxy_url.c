/* Fuzz target: the URL of a proxy, and what the proxy is asked. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "proxy.h"
#include "proxy_handshake.h"

/* Two lines, three with credentials, and the empty one: nothing in the URL makes another. */
static void
check_request(const struct proxy_handshake *handshake)
{
	size_t lines = 0;

	must(handshake->request_size < sizeof handshake->request);
	for (size_t i = 0; i < handshake->request_size; i++)
		lines += handshake->request[i] == '\n' || handshake->request[i] == '\r';
	must(lines == (handshake->proxy->credentials[0] != '\0' ? 8 : 6));
	must(memcmp(handshake->request + handshake->request_size - 4, "\r\n\r\n", 4) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	char *const text = input_text(&input);
	struct proxy_settings settings;
	static struct proxy_handshake handshake;
	struct url url;

	must(url_parse("wss://wisp.example/", &url) == NULL);
	if (proxy_check(text) == NULL && text[0] != '\0') {
		must(proxy_settings_init(&settings, text));
		must(settings.plain == settings.tls && settings.tls != NULL && settings.exceptions == NULL);
		must(settings.tls->host[0] != '\0' && settings.tls->port != 0);
		proxy_handshake_begin(&handshake, settings.tls, &url);
		check_request(&handshake);
	}
	free(text);
	return 0;
}
