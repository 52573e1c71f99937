/* wispsocks: programs that speak SOCKS5 reach the network through a Wisp server. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "bridge.h"
#include "header.h"
#include "log.h"
#include "options.h"
#include "stop.h"
#include "wire.h"

/* Descriptors that are not for clients: the tunnel, listeners, libevent, libwebsockets, the resolver. */
#define OWN_DESCRIPTORS 64
#define HOUR_MS (3600 * 1000)
#define YEAR_MS (365UL * 24 * HOUR_MS)

struct settings {
	struct bridge_options bridge;
	struct option_list servers;
	const char *proxy;
	int versions; /* the position in "auto|1|2" */
	int verbosity;
};

#define SETTING(member) offsetof(struct settings, member)

static const struct option_spec option_table[] = {
	{"Where programs connect", "listen", 'l', OPTION_LISTEN, SETTING(bridge.listen), "ADDR",
		"PORT, HOST:PORT, [V6]:PORT or unix:PATH; repeatable (127.0.0.1:1080)", 0, 0, NULL},
	{NULL, "max-clients", 0, OPTION_COUNT, SETTING(bridge.max_clients), "N",
		"programs at once; more wait to be accepted (4096)", 1, 1000000, NULL},
	{NULL, "buffer-limit", 0, OPTION_SIZE, SETTING(bridge.buffer_limit_bytes), "SIZE",
		"received data that programs have not taken yet, in all (64M)", 65536, (size_t)1 << 40, NULL},
	{NULL, "connect-timeout", 0, OPTION_SECONDS, SETTING(bridge.connect_timeout_ms), "SECONDS",
		"how long a program waits while the tunnel is down (10)", 0, HOUR_MS, NULL},
	{NULL, "idle-timeout", 0, OPTION_SECONDS, SETTING(bridge.idle_timeout_ms), "SECONDS",
		"close a stream on which nothing moved; 0 is never (0)", 0, YEAR_MS, NULL},
	{NULL, "stall-timeout", 0, OPTION_SECONDS, SETTING(bridge.stall_timeout_ms), "SECONDS",
		"close a stream whose program takes no data while others wait (30)", 1, HOUR_MS, NULL},

	{"The way to the server", "server", 0, OPTION_LIST, SETTING(servers), "URL",
		"another one, for when those before it fail; repeatable", 0, 0, NULL},
	{NULL, "return-after", 0, OPTION_SECONDS, SETTING(bridge.tunnel.return_ms), "SECONDS",
		"go back to the first server, without streams to cut; 0 is never (300)", 0, YEAR_MS, NULL},
	{NULL, "proxy", 0, OPTION_TEXT, SETTING(proxy), "URL",
		"http://[USER:PASSWORD@]HOST[:PORT] (https_proxy, no_proxy)", 0, 0, NULL},

	{"The server", "cacert", 0, OPTION_TEXT, SETTING(bridge.tunnel.tls.cacert), "FILE",
		"trust these certificates instead of the system's", 0, 0, NULL},
	{NULL, "cert", 0, OPTION_TEXT, SETTING(bridge.tunnel.tls.cert), "FILE",
		"show the server this certificate, and those that vouch for it", 0, 0, NULL},
	{NULL, "cert-key", 0, OPTION_TEXT, SETTING(bridge.tunnel.tls.cert_key), "FILE",
		"its key, if that is not in the same file", 0, 0, NULL},
	{NULL, "insecure", 0, OPTION_FLAG, SETTING(bridge.tunnel.tls.insecure), NULL,
		"do not verify the server's certificate", 0, 0, NULL},
	{NULL, "header", 'H', OPTION_LIST, SETTING(bridge.tunnel.headers), "LINE",
		"add 'NAME: VALUE' to the request for the WebSocket; repeatable", 0, 0, NULL},
	{NULL, "wisp", 0, OPTION_CHOICE, SETTING(versions), "1|2|auto", "protocol version (auto)", 0, 0, "auto|1|2"},
	{NULL, "ping-interval", 0, OPTION_SECONDS, SETTING(bridge.tunnel.ping_interval_ms), "SECONDS",
		"ping the server; after two without a sign of life it is dead (30)", 10, HOUR_MS, NULL},

	{"General", "verbose", 'v', OPTION_MORE, SETTING(verbosity), NULL,
		"log more: destinations, and why streams end", 0, 0, NULL},
	{NULL, "quiet", 'q', OPTION_LESS, SETTING(verbosity), NULL, "log less: warnings and errors only", 0, 0, NULL},
	{NULL, "help", 'h', OPTION_HELP, 0, NULL, "show this", 0, 0, NULL},
	{NULL, "version", 'V', OPTION_VERSION, 0, NULL, "show the version, and those of the libraries", 0, 0, NULL},
	{0},
};

static const struct program program = {
	.name = "wispsocks",
	.synopsis = "[options] [URL]",
	.purpose = "Lets programs that speak SOCKS5 reach the network through a Wisp server.",
	.operands = "URL is the server's: ws://host[:port]/path/ or wss://host[:port]/path/; --server names more",
	.options = option_table,
};

static void
stop(void *arg)
{
	event_base_loopbreak(arg);
}

static bool
add_server(struct tunnel_options *tunnel, const char *text)
{
	const char *wrong = url_parse(text, &tunnel->servers[tunnel->server_count]);

	if (wrong != NULL) {
		options_complain(&program, "'%s': %s", text, wrong);
		return false;
	}
	tunnel->server_count++;
	return true;
}

/* What is wrong with a header is said without its value, which may be a secret. */
static bool
check_headers(const struct option_list *headers)
{
	const char *line, *wrong = headers_check(headers, &line);

	if (wrong == NULL)
		return true;
	options_complain(&program, "--header '%.*s': %s", (int)(strchr(line, ':') != NULL ? strcspn(line, ":") : 0),
		line, wrong);
	return false;
}

/* Make the settings complete. Returns false when they make no sense: said. */
static bool
check(struct settings *settings, const char *url_text)
{
	static const enum wisp_versions versions[] = {WISP_VERSION_AUTO, WISP_VERSION_1, WISP_VERSION_2};
	const size_t descriptors = raise_descriptor_limit();
	const char *wrong;

	log_set_level(LOG_LEVEL_INFO + settings->verbosity);
	if (url_text != NULL && !add_server(&settings->bridge.tunnel, url_text))
		return false;
	for (size_t i = 0; i < settings->servers.count; i++)
		if (!add_server(&settings->bridge.tunnel, settings->servers.items[i]))
			return false;
	if (settings->bridge.tunnel.server_count == 0) {
		options_complain(&program, "the server's URL is missing");
		return false;
	}
	wrong = proxy_settings_init(&settings->bridge.tunnel.proxies, settings->proxy);
	if (wrong != NULL) {
		options_complain(&program, "--proxy: %s", wrong);
		return false;
	}
	if (settings->bridge.tunnel.tls.cert_key != NULL && settings->bridge.tunnel.tls.cert == NULL) {
		options_complain(&program, "--cert-key is the key of a certificate: give --cert too");
		return false;
	}
	if (!check_headers(&settings->bridge.tunnel.headers))
		return false;
	settings->bridge.tunnel.versions = versions[settings->versions];
	if (settings->bridge.max_clients + OWN_DESCRIPTORS > descriptors) {
		settings->bridge.max_clients = descriptors > 2 * OWN_DESCRIPTORS ? descriptors - OWN_DESCRIPTORS : 1;
		log_warning("only %zu programs at once: the limit of open files (ulimit -n) is %zu",
			settings->bridge.max_clients, descriptors);
	}
	for (size_t i = 0; i < settings->bridge.tunnel.server_count && settings->bridge.tunnel.tls.insecure; i++)
		log_warning("--insecure: whoever answers at %s is taken for the server",
			settings->bridge.tunnel.servers[i].authority);
	return true;
}

static int
serve(const struct settings *settings)
{
	struct event_base *base = event_base_new();
	struct stop_signals *signals = base != NULL ? stop_signals_new(base, stop, base) : NULL;
	struct bridge bridge;
	bool good;

	if (signals == NULL) {
		log_error("cannot set up the event loop");
		return EXIT_FAILURE;
	}
	good = bridge_start(&bridge, base, &settings->bridge);
	if (good)
		event_base_dispatch(base);
	good = good && !bridge.hopeless;
	bridge_stop(&bridge);
	stop_signals_free(signals);
	event_base_free(base);
	libevent_global_shutdown();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct settings settings = {
		.bridge =
			{
				.tunnel = {.ping_interval_ms = 30000, .return_ms = 300000},
				.connect_timeout_ms = 10000,
				.stall_timeout_ms = 30000,
				.max_clients = 4096,
				.buffer_limit_bytes = 64 << 20,
			},
	};
	const char *url;

	switch (options_parse(&program, argc, argv, &settings, &url)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_WRONG:
		return 2;
	case OPTIONS_RUN:
		break;
	}
	if (!check(&settings, url))
		return 2;
	/* libwebsockets would use these its own way. */
	unsetenv("http_proxy");
	unsetenv("socks_proxy");
	wire_init_log();
	return serve(&settings);
}
