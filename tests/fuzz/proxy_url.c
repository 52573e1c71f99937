/* Fuzz target: the URL of a proxy, and what the proxy is asked first. */
#include <stdlib.h>
#include <string.h>

#include <wisp/socks4.h>

#include "fuzz.h"
#include "proxy.h"
#include "proxy_handshake.h"

/* Two lines, three with credentials, and the empty one: nothing in the URL makes another. */
static void
check_http(const struct proxy_handshake *handshake)
{
	const uint8_t *end = handshake->message + handshake->message_size;
	size_t lines = 0;

	for (const uint8_t *p = handshake->message; p < end; p++)
		lines += *p == '\n' || *p == '\r';
	must(lines == (handshake->proxy->has_credentials ? 8 : 6));
	must(memcmp(end - 4, "\r\n\r\n", 4) == 0);
}

/* The user's name and the server's, and nothing behind them. */
static void
check_socks4(const struct proxy_handshake *handshake)
{
	const size_t user_size = strlen(handshake->proxy->user);

	must(user_size <= WISP_SOCKS4_TEXT_MAX && handshake->proxy->password[0] == '\0');
	must(handshake->message_size == 8 + user_size + 1 + sizeof "wisp.example");
	must(strcmp((const char *)handshake->message + 8 + user_size + 1, "wisp.example") == 0);
}

static void
check_message(const struct proxy_handshake *handshake)
{
	must(handshake->message_size > 0 && handshake->message_size < sizeof handshake->message);
	switch (handshake->proxy->kind) {
	case PROXY_HTTP:
		check_http(handshake);
		break;
	case PROXY_SOCKS4A:
		check_socks4(handshake);
		break;
	case PROXY_SOCKS5:
	case PROXY_SOCKS5H:
		must(handshake->message_size == (handshake->proxy->has_credentials ? 4 : 3));
		break;
	}
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
		proxy_handshake_begin(&handshake, settings.tls, &url, NULL);
		check_message(&handshake);
	}
	free(text);
	return 0;
}
