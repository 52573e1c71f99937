/* wispd: a small Wisp server. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "completion.h"
#include "descriptors.h"
#include "log.h"
#include "notify.h"
#include "options.h"
#include "privileges.h"
#include "sandbox.h"
#include "server.h"
#include "signals.h"
#include "wire.h"

#define HOUR_MS (3600 * 1000)

struct settings {
	struct server_options server;
	struct option_list listen;
	int version; /* the position in "2|1" */
	const char *user_name;
	struct privileges privileges; /* those that are left */
	bool check;
	size_t descriptor_limit;
	int verbosity;
	char path[1024]; /* the one that is served, when a slash had to be added */
};

#define SETTING(member) offsetof(struct settings, member)

static const struct option_spec option_table[] = {
	{"Where clients connect", "listen", 'l', OPTION_LISTEN, SETTING(listen), "ADDR",
		"PORT, HOST:PORT, [V6]:PORT or unix:PATH[,mode=MODE]; repeatable (127.0.0.1:6001)", 0, 0, NULL},
	{NULL, "cert", 0, OPTION_TEXT, SETTING(server.cert), "FILE", "serve wss with this certificate chain, PEM", 0, 0,
		NULL},
	{NULL, "cert-key", 0, OPTION_TEXT, SETTING(server.cert_key), "FILE", "the certificate's private key, PEM", 0, 0,
		NULL},
	{NULL, "path", 0, OPTION_TEXT, SETTING(server.path), "PATH", "the only path that is Wisp (/)", 0, 0, NULL},
	{NULL, "max-clients", 0, OPTION_COUNT, SETTING(server.max_clients), "N",
		"clients at once; more wait to be accepted (1024)", 1, 100000, NULL},
	{NULL, "max-per-address", 0, OPTION_COUNT, SETTING(server.max_per_address), "N",
		"of these, from one address of another machine; 0 is no limit (256)", 0, 100000, NULL},
	{NULL, "ping-interval", 0, OPTION_SECONDS, SETTING(server.ping_interval_ms), "SECONDS",
		"ping clients; one that answers two of them with nothing at all is gone (30)", 10, HOUR_MS, NULL},

	{"Who may come in", "user-file", 0, OPTION_TEXT, SETTING(server.user_file), "FILE",
		"require a user name and password, of the lines user:password", 0, 0, NULL},
	{NULL, "authorized-keys", 0, OPTION_TEXT, SETTING(server.authorized_keys), "FILE",
		"require an Ed25519 key, of these public ones", 0, 0, NULL},
	{NULL, "motd", 0, OPTION_MESSAGE, SETTING(server.motd), "TEXT", "a message for clients that have connected", 0,
		0, NULL},

	{"What streams may do", "allow-loopback", 0, OPTION_FLAG, SETTING(server.policy.allow_loopback), NULL,
		"let them reach this machine", 0, 0, NULL},
	{NULL, "allow-private", 0, OPTION_FLAG, SETTING(server.policy.allow_private), NULL,
		"let them reach private networks", 0, 0, NULL},
	{NULL, "buffer", 0, OPTION_COUNT, SETTING(server.buffer_packets), "PACKETS",
		"how much a stream may send ahead (128)", 1, 65536, NULL},
	{NULL, "max-streams", 0, OPTION_COUNT, SETTING(server.max_streams), "N",
		"how many a client may have at once (16384)", 1, 1000000, NULL},
	{NULL, "no-udp", 0, OPTION_FLAG, SETTING(server.no_udp), NULL, "TCP only", 0, 0, NULL},
	{NULL, "udp-timeout", 0, OPTION_SECONDS, SETTING(server.udp_timeout_ms), "SECONDS",
		"close a UDP stream on which nothing moved (300)", 100, HOUR_MS, NULL},
	{NULL, "wisp", 0, OPTION_CHOICE, SETTING(version), "1|2", "the highest protocol version (2)", 0, 0, "2|1"},

	{"General", "config", 'c', OPTION_CONFIG, 0, "FILE",
		"read options from this file too; the command line wins over it", 0, 0, NULL},
	{NULL, "check", 0, OPTION_FLAG, SETTING(check), NULL, "check options and files, say what is wrong, and exit", 0,
		0, NULL},
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

/*
 * What is wrong with a path, or NULL. It is compared as it is, so one in another form than that in which clients send
 * it (RFC 3986 section 3.3) would be reached by nobody.
 */
static const char *
wrong_with_path(const char *path)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%";
	const char *wrong = path + strspn(path, allowed);

	if (path[0] != '/')
		return "it does not begin with '/'";
	if (*wrong == '?' || *wrong == '#')
		return "a query ('?') or a fragment ('#') is not part of a path: leave it out";
	if (*wrong != '\0')
		return "it has a character that a path cannot have: write each byte of it as '%' and two hexadecimal "
		       "digits";
	for (const char *p = strchr(path, '%'); p != NULL; p = strchr(p + 1, '%'))
		if (!isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]))
			return "a '%' is not followed by two hexadecimal digits: write '%' itself as %25";
	for (const char *p = path; p != NULL; p = strchr(p + 1, '/')) {
		const size_t n = strcspn(p + 1, "/");

		if ((n == 1 || n == 2) && strspn(p + 1, ".") == n)
			return "clients never send '.' or '..' in a path: remove it";
	}
	return NULL;
}

static const char *
check_value(const struct option_spec *option, const char *text)
{
	if (strcmp(option->name, "path") == 0)
		return wrong_with_path(text);
	if (strcmp(option->name, "motd") == 0 && strlen(text) > WISP_MOTD_MAX)
		return "it is longer than 2048 bytes";
	return NULL;
}

static const struct program program = {
	.name = "wispd",
	.synopsis = "[options]",
	.purpose = "A small Wisp server.",
	.options = option_table,
	.check = check_value,
};

/* Clients add a slash at the end, as the protocol has it: a path without one would be reached by nobody. */
static bool
complete_path(struct settings *settings)
{
	const char *path = settings->server.path;

	if (path[strlen(path) - 1] == '/')
		return true;
	if (strlen(path) + sizeof "/" > sizeof settings->path) {
		options_complain(&program, "--path: it is too long");
		return false;
	}
	snprintf(settings->path, sizeof settings->path, "%s/", path);
	settings->server.path = settings->path;
	return true;
}

static bool
check(struct settings *settings)
{
	struct server_options *options = &settings->server;

	if ((options->cert == NULL) != (options->cert_key == NULL)) {
		options_complain(&program, "--cert and --cert-key belong together");
		return false;
	}
	if (!complete_path(settings))
		return false;
	options->version = settings->version == 0 ? 2 : 1;
	if (options->version == 1 && (options->user_file != NULL || options->authorized_keys != NULL)) {
		options_complain(&program,
			"clients cannot show credentials with Wisp v1: leave out --wisp 1, or --user-file and "
			"--authorized-keys");
		return false;
	}
	log_set_level(LOG_LEVEL_INFO + settings->verbosity);
	settings->descriptor_limit = descriptors_raise_limit();
	if (options->max_clients > settings->descriptor_limit)
		options->max_clients =
			settings->descriptor_limit; /* for libwebsockets; the real bound is share_descriptors() */
	return true;
}

#define FILES 4

/* Those that are read again on HUP. */
static void
list_files(const struct server_options *options, const char *files[FILES])
{
	files[0] = options->cert;
	files[1] = options->cert_key;
	files[2] = options->user_file;
	files[3] = options->authorized_keys;
}

/* Everything is open and read: give up what is not needed any more. Returns false when that fails: logged. */
static bool
confine(const struct settings *settings)
{
	const char *files[FILES];

	list_files(&settings->server, files);
	if (!privileges_drop(&settings->privileges, files, FILES))
		return false;
	sandbox_enter(files, FILES, &settings->server.endpoints);
	return true;
}

/* Share out the descriptors that are left: streams cannot take those that are for clients. */
static void
share_descriptors(struct server_options *options, size_t limit)
{
	struct descriptors descriptors;
	size_t half;

	descriptors_count(&descriptors, limit);
	half = descriptors.left > 2 ? descriptors.left / 2 : 1;
	if (options->max_clients > half) {
		options->max_clients = half;
		descriptors_warn(&descriptors, half, "clients");
	}
	options->max_targets = descriptors.left - options->max_clients;
}

static void
stop(void *arg)
{
	const struct server *server = arg;

	event_base_loopbreak(server->base);
}

static void
reload(void *arg)
{
	server_reload(arg);
}

static void
report(void *arg)
{
	server_report(arg);
}

static const struct signals_callbacks signals_callbacks = {
	.stop = stop,
	.reload = reload,
	.report = report,
};

/* Returns false when it cannot begin: logged. */
static bool
run(struct server *server, struct event_base *base, struct settings *settings)
{
	bool good = server_start(server, base, &settings->server);

	if (good) {
		share_descriptors(&settings->server, settings->descriptor_limit);
		good = confine(settings);
	}
	if (good) {
		notify_ready();
		event_base_dispatch(base);
	}
	server_stop(server);
	return good;
}

static int
serve(struct settings *settings)
{
	struct server server = {.base = event_base_new()};
	struct event_base *base = server.base;
	struct signals *signals = base != NULL ? signals_new(base, &signals_callbacks, &server) : NULL;
	bool good = false;

	if (signals != NULL)
		good = run(&server, base, settings);
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
	bool good = server_check(&settings->server);

	list_files(&settings->server, files);
	if (settings->privileges.name != NULL) /* it warns of those that the user cannot read */
		good = privileges_drop(&settings->privileges, files, FILES) && good;
	if (good)
		log_info("options and files are good");
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Whoever can connect sends from this machine's address. */
static void
warn_if_open_to_all(const struct server_options *options)
{
	const struct endpoint *endpoint = endpoints_find_open(&options->endpoints);
	char text[ADDRESS_TEXT_SIZE];

	if (endpoint == NULL || options->user_file != NULL || options->authorized_keys != NULL)
		return;
	address_format((const struct sockaddr *)&endpoint->address.storage, text);
	log_warning(
		"anybody who reaches %s may use this server; restrict it with --user-file or --authorized-keys", text);
}

int
main(int argc, char **argv)
{
	struct settings settings = {
		.server =
			{
				.path = "/",
				.buffer_packets = 128,
				.udp_timeout_ms = 300000,
				.ping_interval_ms = 30000,
				.max_clients = 1024,
				.max_per_address = 256,
				.max_streams = 16384,
			},
	};
	const enum options_result result = options_parse(&program, argc, argv, &settings);

	if (result != OPTIONS_RUN)
		return result;
	descriptors_fill_standard();
	privileges_protect();
	wire_init_log();
	if (!check(&settings))
		return OPTIONS_WRONG;
	if (!privileges_find(settings.user_name, &settings.privileges) ||
		!endpoints_find(&settings.server.endpoints, &settings.listen, "127.0.0.1:6001"))
		return EXIT_FAILURE;
	warn_if_open_to_all(&settings.server);
	return settings.check ? check_files(&settings) : serve(&settings);
}
