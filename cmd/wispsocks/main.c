/* wispsocks: programs that speak SOCKS5 reach the network through a Wisp server. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "bridge.h"
#include "completion.h"
#include "descriptors.h"
#include "log.h"
#include "notify.h"
#include "options.h"
#include "privileges.h"
#include "sandbox.h"
#include "signals.h"
#include "trial.h"
#include "usage.h"
#include "wire.h"

#define HOUR_MS (3600 * 1000)
#define YEAR_MS (UINT64_C(365) * 24 * HOUR_MS)

struct settings {
	struct bridge_options bridge;
	struct option_list servers;
	struct option_list listen;
	const char *proxy;
	struct option_list resolve;
	const char *sni;
	bool open_to_all;
	bool no_udp;
	int versions; /* the position in "auto|1|2" */
	int ends;     /* the position in ENDS_MODES */
	const char *user_name;
	struct privileges privileges; /* those that are left */
	bool check;
	const char *probe; /* HOST:PORT; NULL to serve */
	size_t descriptor_limit;
	int verbosity;
};

#define SETTING(member) offsetof(struct settings, member)

static const struct option_spec option_table[] = {
	{"Where programs connect", "listen", 'l', OPTION_LISTEN, SETTING(listen), "ADDR",
		"PORT, HOST:PORT, [V6]:PORT or unix:PATH[,mode=MODE]; repeatable (127.0.0.1:1080)", 0, 0, NULL},
	{NULL, "open-to-all", 0, OPTION_FLAG, SETTING(open_to_all), NULL,
		"allow --listen where other machines can reach it, and so use the tunnel", 0, 0, NULL},
	{NULL, "auth", 0, OPTION_TEXT, SETTING(bridge.auth), "FILE",
		"programs must have a user name and password, of its lines user:password", 0, 0, NULL},
	{NULL, "wait-open", 0, OPTION_FLAG, SETTING(bridge.tunnel.confirm), NULL,
		"tell programs only when the server has opened a stream, or why not", 0, 0, NULL},
	{NULL, "no-udp", 0, OPTION_FLAG, SETTING(no_udp), NULL, "TCP only", 0, 0, NULL},
	{NULL, "udp-timeout", 0, OPTION_SECONDS, SETTING(bridge.udp_timeout_ms), "SECONDS",
		"close a UDP stream on which nothing moved (60)", 100, HOUR_MS, NULL},
	{NULL, "max-clients", 0, OPTION_COUNT, SETTING(bridge.max_clients), "N",
		"programs at once; more wait to be accepted (4096)", 1, 1000000, NULL},
	{NULL, "max-per-address", 0, OPTION_COUNT, SETTING(bridge.max_per_address), "N",
		"of these, from one address of another machine; 0 is no limit (1024)", 0, 1000000, NULL},
	{NULL, "buffer-limit", 0, OPTION_SIZE, SETTING(bridge.buffer_limit_bytes), "SIZE",
		"received data that programs have not taken yet, in all (64M)", 65536, UINT64_C(1) << 40, NULL},
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
	{NULL, "retry-always", 0, OPTION_FLAG, SETTING(bridge.tunnel.retry_always), NULL,
		"retry after permanent errors too, also before the first connection", 0, 0, NULL},
	{NULL, "proxy", 0, OPTION_PROXY, SETTING(proxy), "URL",
		"http, socks5, socks5h or socks4a://[USER:PASSWORD@]HOST[:PORT] (https_proxy, all_proxy, no_proxy)", 0,
		0, NULL},
	{NULL, "resolve", 0, OPTION_LIST, SETTING(resolve), "HOST:PORT:ADDRESS",
		"use this address instead of looking the host up; repeatable", 0, 0, NULL},
	{NULL, "congestion", 0, OPTION_TEXT, SETTING(bridge.tunnel.congestion), "NAME",
		"TCP congestion control of the connections to the server", 0, 0, NULL},

	{"The server", "cacert", 0, OPTION_TEXT, SETTING(bridge.tunnel.tls.cacert), "FILE",
		"trust these certificates instead of the system's", 0, 0, NULL},
	{NULL, "cert", 0, OPTION_TEXT, SETTING(bridge.tunnel.tls.cert), "FILE",
		"show the server this certificate, and those that vouch for it", 0, 0, NULL},
	{NULL, "cert-key", 0, OPTION_TEXT, SETTING(bridge.tunnel.tls.cert_key), "FILE",
		"its key, if that is not in the same file", 0, 0, NULL},
	{NULL, "insecure", 0, OPTION_FLAG, SETTING(bridge.tunnel.tls.insecure), NULL,
		"do not verify the server's certificate", 0, 0, NULL},
	{NULL, "sni", 0, OPTION_TEXT, SETTING(sni), "NAME",
		"the name for TLS and for the certificate, instead of the URL's host", 0, 0, NULL},
	{NULL, "header", 'H', OPTION_LIST, SETTING(bridge.tunnel.headers), "LINE",
		"add 'NAME: VALUE' to the request for the WebSocket; repeatable", 0, 0, NULL},
	{NULL, "user", 'u', OPTION_TEXT, SETTING(bridge.tunnel.credentials.user), "NAME",
		"who we are; the password is WISPSOCKS_PASSWORD, or:", 0, 0, NULL},
	{NULL, "password-file", 0, OPTION_TEXT, SETTING(bridge.tunnel.credentials.password_file), "FILE",
		"the password is its first line", 0, 0, NULL},
	{NULL, "key", 0, OPTION_TEXT, SETTING(bridge.tunnel.credentials.key_file), "FILE",
		"an Ed25519 private key that shows who we are, PEM", 0, 0, NULL},
	{NULL, "unverified-credentials", 0, OPTION_FLAG, SETTING(bridge.tunnel.credentials.unverified), NULL,
		"show them even to a server that TLS has not verified", 0, 0, NULL},
	{NULL, "wisp", 0, OPTION_CHOICE, SETTING(versions), "1|2|auto", "protocol version (auto)", 0, 0, "auto|1|2"},
	{NULL, "ends", 0, OPTION_CHOICE, SETTING(ends), "auto|strict|lenient",
		"how to take reason 0x01 after data: a cut or an end (auto)", 0, 0, ENDS_MODES},
	{NULL, "ping-interval", 0, OPTION_SECONDS, SETTING(bridge.tunnel.ping_interval_ms), "SECONDS",
		"ping the server; after two without a sign of life it is dead (30)", 10, HOUR_MS, NULL},

	{"General", "config", 'c', OPTION_CONFIG, 0, "FILE",
		"read options from this file too; the command line wins over it", 0, 0, NULL},
	{NULL, "check", 0, OPTION_FLAG, SETTING(check), NULL, "check options and files, say what is wrong, and exit", 0,
		0, NULL},
	{NULL, "probe", 0, OPTION_TEXT, SETTING(probe), "HOST:PORT",
		"connect there through the server once, print each step with its time, and exit", 0, 0, NULL},
	{NULL, "user-name", 0, OPTION_TEXT, SETTING(user_name), "NAME",
		"started as root, become this user when all files are read and sockets open", 0, 0, NULL},
	{NULL, "verbose", 'v', OPTION_MORE, SETTING(verbosity), NULL, "log more: destinations, and why streams end", 0,
		0, NULL},
	{NULL, "quiet", 'q', OPTION_LESS, SETTING(verbosity), NULL, "log less: warnings and errors only", 0, 0, NULL},
	{NULL, "log-format", 0, OPTION_LOG_FORMAT, 0, "FORMAT", "how to log: text or json (text)", 0, 0, LOG_FORMATS},
	{NULL, "help", 'h', OPTION_HELP, 0, NULL, "show this", 0, 0, NULL},
	{NULL, "version", 'V', OPTION_VERSION, 0, NULL, "show the version, and those of the libraries", 0, 0, NULL},
	{NULL, "completion", 0, OPTION_COMPLETION, 0, "SHELL",
		"print a script that completes these options: bash, zsh or fish", 0, 0, COMPLETION_SHELLS},
	{0},
};

/* Programs other than those of SOCKS will say who they are, too. */
static struct option_alias aliases[] = {
	{"socks-auth", "auth", false},
	{0},
};

/* Read where --probe is to go. Returns NULL, or what is wrong with it. */
static const char *
parse_target(const char *text, char host[WISP_HOST_MAX + 1], uint16_t *port)
{
	*port = 0;
	if (!address_split(text, strlen(text), host, WISP_HOST_MAX + 1, port) || *port == 0)
		return "it must be HOST:PORT or [IPV6]:PORT";
	return NULL;
}

static const char *
check_value(const struct option_spec *option, const char *text)
{
	char host[WISP_HOST_MAX + 1];
	uint16_t port;

	if (strcmp(option->name, "probe") == 0)
		return parse_target(text, host, &port);
	return usage_check_value(option, text);
}

static const struct program program = {
	.name = "wispsocks",
	.synopsis = "[options] [URL]",
	.purpose = "Lets programs that speak SOCKS5 reach the network through a Wisp server.",
	.operands = "URL is the server's: ws://host[:port]/path/ or wss://host[:port]/path/; --server names more",
	.operand_option = "server",
	.operand_max = 1,
	.options = option_table,
	.aliases = aliases,
	.check = check_value,
};

static struct usage
find_usage(const struct settings *settings)
{
	return (struct usage){
		&settings->servers, settings->proxy, "WISPSOCKS_PASSWORD", &settings->resolve, settings->sni};
}

/* Make the settings complete. Returns false when they make no sense: said. */
static bool
check(struct settings *settings)
{
	static const enum wisp_versions versions[] = {WISP_VERSION_AUTO, WISP_VERSION_1, WISP_VERSION_2};
	const struct usage usage = find_usage(settings);

	log_set_level(LOG_LEVEL_INFO + settings->verbosity);
	if (!usage_complete(&program, &usage, &settings->bridge.tunnel))
		return false;
	settings->bridge.tunnel.versions = versions[settings->versions];
	settings->bridge.tunnel.udp = !settings->no_udp;
	settings->bridge.tunnel.end_of_data = true;
	settings->bridge.ends_mode = (enum ends_mode)settings->ends;
	settings->bridge.auth_option = aliases[0].used ? aliases[0].name : aliases[0].option;
	settings->descriptor_limit = descriptors_raise_limit();
	return true;
}

/* No way to the server leads through ourselves. Returns false when the user says so: said. */
static bool
find_proxies(struct settings *settings)
{
	const struct usage usage = find_usage(settings);

	return usage_find_proxies(&program, &usage, &settings->bridge.endpoints, &settings->bridge.tunnel);
}

/* Whoever can connect uses the tunnel in its owner's name. Returns false when that could be anybody: said. */
static bool
check_exposure(const struct settings *settings, bool programs_authenticate)
{
	const struct endpoint *endpoint = endpoints_find_open(&settings->bridge.endpoints);
	char text[ADDRESS_TEXT_SIZE];

	if (endpoint == NULL || programs_authenticate || settings->open_to_all)
		return true;
	address_format((const struct sockaddr *)&endpoint->address.storage, text);
	options_complain(&program,
		"whoever reaches %s could use the tunnel; listen on 127.0.0.1 or a Unix socket, have them "
		"authenticate with --auth, or allow it with --open-to-all",
		text);
	return false;
}

#define FILES 6

/* Those that are read again on HUP. */
static void
list_files(const struct settings *settings, const char *files[FILES])
{
	const struct tunnel_options *tunnel = &settings->bridge.tunnel;

	files[0] = settings->bridge.auth;
	files[1] = tunnel->tls.cacert;
	files[2] = tunnel->tls.cert;
	files[3] = tunnel->tls.cert_key;
	files[4] = tunnel->credentials.password_file;
	files[5] = tunnel->credentials.key_file;
}

/* Everything is open and read: give up what is not needed any more. Returns false when that fails: logged. */
static bool
confine(const struct settings *settings)
{
	const char *files[FILES];

	list_files(settings, files);
	if (!privileges_drop(&settings->privileges, files, FILES))
		return false;
	sandbox_enter(files, FILES, &settings->bridge.endpoints);
	return true;
}

static void
share_descriptors(struct bridge_options *options, size_t limit)
{
	struct descriptors descriptors;

	descriptors_count(&descriptors, limit);
	if (options->max_clients <= descriptors.left)
		return;
	options->max_clients = descriptors.left;
	descriptors_warn(&descriptors, descriptors.left, "programs");
}

static void
stop(void *arg)
{
	const struct bridge *bridge = arg;

	event_base_loopbreak(bridge->base);
}

static void
reload(void *arg)
{
	bridge_reload(arg);
}

static void
report(void *arg)
{
	bridge_report(arg);
}

static const struct signals_callbacks signals_callbacks = {
	.stop = stop,
	.reload = reload,
	.report = report,
};

/* Returns false when it cannot go on: logged. */
static bool
run(struct bridge *bridge, struct event_base *base, struct settings *settings)
{
	bool good;

	notify_status("connecting to %s", settings->bridge.tunnel.servers[0].authority);
	good = bridge_start(bridge, base, &settings->bridge);
	if (good) {
		share_descriptors(&settings->bridge, settings->descriptor_limit);
		good = confine(settings);
	}
	if (good) {
		notify_ready();
		event_base_dispatch(base);
		if (!bridge->hopeless)
			bridge_report(bridge);
	}
	good = good && !bridge->hopeless;
	bridge_stop(bridge);
	return good;
}

static int
serve(struct settings *settings)
{
	struct bridge bridge = {.base = event_base_new()};
	struct event_base *base = bridge.base;
	struct signals *signals = base != NULL ? signals_new(base, &signals_callbacks, &bridge) : NULL;
	bool good = false;

	if (signals != NULL)
		good = run(&bridge, base, settings);
	else
		log_error("cannot set up the event loop");
	signals_free(signals);
	if (base != NULL)
		event_base_free(base);
	libevent_global_shutdown();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --check: the options are good; look at the files. Returns the exit code. */
static int
check_files(const struct settings *settings)
{
	const char *files[FILES];
	bool good = bridge_check(&settings->bridge);

	list_files(settings, files);
	if (settings->privileges.name != NULL) /* it warns of those that the user cannot read */
		good = privileges_drop(&settings->privileges, files, FILES) && good;
	if (good)
		log_info("options and files are good");
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --probe. Returns the exit code. */
static int
probe(const struct settings *settings)
{
	struct event_base *base = event_base_new();
	struct trial_options options = {
		.tunnel = settings->bridge.tunnel,
		.patience_ms = settings->bridge.connect_timeout_ms,
	};
	char host[WISP_HOST_MAX + 1];
	int code = EXIT_FAILURE;

	parse_target(settings->probe, host, &options.port);
	options.host = host;
	if (settings->verbosity == 0)
		log_set_level(LOG_LEVEL_ERROR); /* the steps say it all */
	if (base != NULL)
		code = trial_run(base, &options);
	else
		log_error("cannot set up the event loop");
	if (base != NULL)
		event_base_free(base);
	libevent_global_shutdown();
	return code;
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
				.udp_timeout_ms = 60000,
				.max_clients = 4096,
				.max_per_address = 1024,
				.buffer_limit_bytes = 64 << 20,
			},
	};
	const enum options_result result = options_parse(&program, argc, argv, &settings);

	if (result != OPTIONS_RUN)
		return result;
	descriptors_fill_standard();
	privileges_protect();
	if (!check(&settings))
		return OPTIONS_WRONG;
	wire_init_log();
	if (!privileges_find(settings.user_name, &settings.privileges) ||
		!endpoints_find(&settings.bridge.endpoints, &settings.listen, "127.0.0.1:1080"))
		return EXIT_FAILURE;
	if (!find_proxies(&settings))
		return OPTIONS_WRONG;
	if (settings.probe != NULL && !settings.check)
		return probe(&settings);
	if (!check_exposure(&settings, settings.bridge.auth != NULL))
		return OPTIONS_WRONG;
	return settings.check ? check_files(&settings) : serve(&settings);
}
