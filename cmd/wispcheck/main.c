/* wispcheck: tests a Wisp server. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "address.h"
#include "bench.h"
#include "check.h"
#include "clock.h"
#include "completion.h"
#include "credentials.h"
#include "descriptors.h"
#include "learn.h"
#include "log.h"
#include "options.h"
#include "output.h"
#include "probe.h"
#include "report.h"
#include "selection.h"
#include "signals.h"
#include "target.h"
#include "usage.h"
#include "wire.h"

/* A check is given up after so many time-outs. */
#define CHECK_TIMEOUTS 24
#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT 6010

/* Where targets are. */
struct place {
	char host[256];
	uint16_t port;
};

struct settings {
	struct tunnel_options tunnel;
	struct option_list servers;
	const char *proxy;
	struct option_list resolve;
	const char *sni;
	struct option_list only;
	struct option_list skip;
	const char *target;
	const char *listen;
	uint64_t timeout_ms;
	bool list;
	bool targets;
	bool bench;
	uint64_t bench_ms;
	bool tap, json, junit;
	int verbosity;
	enum report_format format;
	struct place place; /* of the targets */
};

#define SETTING(member) offsetof(struct settings, member)

static const struct option_spec option_table[] = {
	{"What to test", "only", 0, OPTION_LIST, SETTING(only), "NAME[,NAME...]",
		"only these checks and groups of checks; repeatable", 0, 0, NULL},
	{NULL, "skip", 0, OPTION_LIST, SETTING(skip), "NAME[,NAME...]", "all but these; repeatable", 0, 0, NULL},
	{NULL, "list", 0, OPTION_FLAG, SETTING(list), NULL, "list the groups and checks instead, with what they expect",
		0, 0, NULL},
	{NULL, "bench", 0, OPTION_FLAG, SETTING(bench), NULL,
		"measure how fast the server is instead, or several side by side", 0, 0, NULL},
	{NULL, "bench-time", 0, OPTION_SECONDS, SETTING(bench_ms), "SECONDS", "how long each measurement takes (2)", 10,
		600000, NULL},
	{NULL, "timeout", 0, OPTION_SECONDS, SETTING(timeout_ms), "SECONDS",
		"how long the server may take to answer (5)", 100, 600000, NULL},

	{"Where the server connects to", "target", 0, OPTION_TEXT, SETTING(target), "HOST[:PORT]",
		"targets that run elsewhere, started there by --targets (port 6010)", 0, 0, NULL},
	{NULL, "targets", 0, OPTION_FLAG, SETTING(targets), NULL, "run the targets here, and nothing else", 0, 0, NULL},
	{NULL, "listen", 'l', OPTION_TEXT, SETTING(listen), "HOST[:PORT]",
		"where the targets that run here listen (127.0.0.1)", 0, 0, NULL},

	{"What to print", "tap", 0, OPTION_FLAG, SETTING(tap), NULL, "TAP, version 14", 0, 0, NULL},
	{NULL, "json", 0, OPTION_FLAG, SETTING(json), NULL, "JSON, as the manual has it", 0, 0, NULL},
	{NULL, "junit", 0, OPTION_FLAG, SETTING(junit), NULL, "JUnit's XML", 0, 0, NULL},

	{"The server", "server", 0, OPTION_LIST, SETTING(servers), "URL",
		"the same as URL; with --bench, another one; repeatable", 0, 0, NULL},
	{NULL, "proxy", 0, OPTION_PROXY, SETTING(proxy), "URL",
		"http, socks5, socks5h or socks4a://[USER:PASSWORD@]HOST[:PORT] (https_proxy, all_proxy, no_proxy)", 0,
		0, NULL},
	{NULL, "resolve", 0, OPTION_LIST, SETTING(resolve), "HOST:PORT:ADDRESS",
		"use this address instead of looking the host up; repeatable", 0, 0, NULL},
	{NULL, "congestion", 0, OPTION_TEXT, SETTING(tunnel.congestion), "NAME",
		"TCP congestion control of the connections to the server", 0, 0, NULL},
	{NULL, "cacert", 0, OPTION_TEXT, SETTING(tunnel.tls.cacert), "FILE",
		"trust these certificates instead of the system's", 0, 0, NULL},
	{NULL, "cert", 0, OPTION_TEXT, SETTING(tunnel.tls.cert), "FILE",
		"show the server this certificate, and those that vouch for it", 0, 0, NULL},
	{NULL, "cert-key", 0, OPTION_TEXT, SETTING(tunnel.tls.cert_key), "FILE",
		"its key, if that is not in the same file", 0, 0, NULL},
	{NULL, "insecure", 0, OPTION_FLAG, SETTING(tunnel.tls.insecure), NULL, "do not verify the server's certificate",
		0, 0, NULL},
	{NULL, "sni", 0, OPTION_TEXT, SETTING(sni), "NAME",
		"the name for TLS and for the certificate, instead of the URL's host", 0, 0, NULL},
	{NULL, "header", 'H', OPTION_LIST, SETTING(tunnel.headers), "LINE",
		"add 'NAME: VALUE' to the request for the WebSocket; repeatable", 0, 0, NULL},
	{NULL, "user", 'u', OPTION_TEXT, SETTING(tunnel.credentials.user), "NAME",
		"who we are; the password is WISPCHECK_PASSWORD, or:", 0, 0, NULL},
	{NULL, "password-file", 0, OPTION_TEXT, SETTING(tunnel.credentials.password_file), "FILE",
		"the password is its first line", 0, 0, NULL},
	{NULL, "key", 0, OPTION_TEXT, SETTING(tunnel.credentials.key_file), "FILE",
		"an Ed25519 private key that shows who we are, PEM", 0, 0, NULL},
	{NULL, "unverified-credentials", 0, OPTION_FLAG, SETTING(tunnel.credentials.unverified), NULL,
		"show them even to a server that TLS has not verified", 0, 0, NULL},

	{"General", "config", 'c', OPTION_CONFIG, 0, "FILE",
		"read options from this file too; the command line wins over it", 0, 0, NULL},
	{NULL, "verbose", 'v', OPTION_MORE, SETTING(verbosity), NULL,
		"print more: what every check expects, and where that stands", 0, 0, NULL},
	{NULL, "quiet", 'q', OPTION_LESS, SETTING(verbosity), NULL, "print less: only what is not right", 0, 0, NULL},
	{NULL, "log-format", 0, OPTION_LOG_FORMAT, 0, "FORMAT", "how to log: text or json (text)", 0, 0, LOG_FORMATS},
	{NULL, "help", 'h', OPTION_HELP, 0, NULL, "show this", 0, 0, NULL},
	{NULL, "version", 'V', OPTION_VERSION, 0, NULL, "show the version, and those of the libraries", 0, 0, NULL},
	{NULL, "completion", 0, OPTION_COMPLETION, 0, "SHELL",
		"print a script that completes these options: bash, zsh or fish", 0, 0, COMPLETION_SHELLS},
	{0},
};

/* Read where targets are. Returns NULL, or what is wrong with it. */
static const char *
parse_place(const char *text, struct place *place)
{
	if (strspn(text, "0123456789") == strlen(text) ||
		!address_split(text, strlen(text), place->host, sizeof place->host, &place->port))
		return "it must be HOST, HOST:PORT or [IPV6]:PORT";
	if (place->port > UINT16_MAX + 1 - TARGET_PORTS)
		return "the targets take this port and those after it: there are not enough";
	return NULL;
}

static const char *
check_value(const struct option_spec *option, const char *text)
{
	struct place place = {.port = DEFAULT_PORT};

	if (strcmp(option->name, "only") == 0 || strcmp(option->name, "skip") == 0)
		return selection_check(text);
	if (strcmp(option->name, "listen") == 0)
		return parse_place(text, &place);
	if (strcmp(option->name, "target") == 0) {
		const char *wrong = parse_place(text, &place);

		return wrong == NULL && place.port == 0 ? "there is no port 0" : wrong;
	}
	return usage_check_value(option, text);
}

static const struct program program = {
	.name = "wispcheck",
	.synopsis = "[options] [URL...]",
	.purpose = "Tests a Wisp server.",
	.operands = "URL is the server's: ws://host[:port]/path/ or wss://host[:port]/path/; several with --bench",
	.operand_option = "server",
	.operand_max = OPTION_LIST_MAX,
	.options = option_table,
	.check = check_value,
};

/* Settle where the targets are. Returns false when that makes no sense: said. */
static bool
check_targets(struct settings *settings)
{
	struct place *place = &settings->place;

	*place = (struct place){.host = DEFAULT_HOST};
	if (settings->target != NULL && (settings->targets || settings->listen != NULL)) {
		options_complain(&program, "--target is where they run elsewhere: leave out %s",
			settings->targets ? "--targets" : "--listen");
		return false;
	}
	if (settings->target != NULL || settings->targets)
		place->port = DEFAULT_PORT;
	if (settings->target != NULL)
		parse_place(settings->target, place);
	else if (settings->listen != NULL)
		parse_place(settings->listen, place);
	if (settings->targets && place->port == 0) {
		options_complain(&program, "--listen: others have to know the port");
		return false;
	}
	return true;
}

/* Settle what is printed. Returns false when that makes no sense: said. */
static bool
check_format(struct settings *settings)
{
	settings->format = settings->json    ? REPORT_JSON
			   : settings->tap   ? REPORT_TAP
			   : settings->junit ? REPORT_JUNIT
					     : REPORT_TEXT;
	if (settings->tap + settings->json + settings->junit > 1) {
		options_complain(&program, "--tap, --json and --junit exclude each other");
		return false;
	}
	if (settings->bench && (settings->tap || settings->junit)) {
		options_complain(&program, "--bench prints text, or --json");
		return false;
	}
	return true;
}

/* Make the settings complete. Returns false when they make no sense: said. */
static bool
check(struct settings *settings)
{
	const struct usage usage = {
		&settings->servers, settings->proxy, "WISPCHECK_PASSWORD", &settings->resolve, settings->sni};
	const struct selection selection = {&settings->only, &settings->skip};

	log_set_level(LOG_LEVEL_INFO + settings->verbosity);
	if (!check_targets(settings) || !check_format(settings))
		return false;
	if (selection_count(&selection) == 0 && settings->only.count + settings->skip.count > 0) {
		options_complain(&program, "--skip: no check is left");
		return false;
	}
	if (settings->list || settings->targets)
		return true;
	if (!usage_complete(&program, &usage, &settings->tunnel) ||
		!usage_find_proxies(&program, &usage, NULL, &settings->tunnel))
		return false;
	if (settings->tunnel.server_count > 1 && !settings->bench) {
		options_complain(&program, "one server is tested at a time; several are measured with --bench");
		return false;
	}
	return true;
}

static void
stop(void *arg)
{
	event_base_loopbreak(arg);
}

/* Run the targets for a wispcheck elsewhere, until told to stop. */
static int
serve_targets(const struct settings *settings, struct event_base *base)
{
	const struct place *place = &settings->place;
	static const struct signals_callbacks callbacks = {.stop = stop};
	struct signals *signals = signals_new(base, &callbacks, base);
	struct targets *targets = signals != NULL ? targets_start(base, place->host, place->port) : NULL;
	char text[ADDRESS_JOINED_SIZE];

	if (targets != NULL) {
		log_info("listening on %s and the %d ports after it, TCP and UDP",
			address_join(place->host, place->port, text), TARGET_PORTS - 1);
		event_base_dispatch(base);
	}
	signals_free(signals);
	if (targets == NULL)
		return EXIT_FAILURE;
	targets_free(targets);
	return EXIT_SUCCESS;
}

static enum outcome
run_check(struct checker *checker, const struct check *check, const char *obstacle, struct report *report)
{
	const uint64_t began_us = clock_now_us();
	struct verdict verdict = {0};

	if (obstacle != NULL) {
		verdict_skip(&verdict, "%s", obstacle);
	} else {
		checker->deadline_ms = clock_now_ms() + CHECK_TIMEOUTS * checker->timeout_ms;
		check->run(checker, &verdict);
		if (clock_now_ms() >= checker->deadline_ms)
			verdict_fail(&verdict, "no end of it in %.0f s",
				(double)(CHECK_TIMEOUTS * checker->timeout_ms) / 1000);
		checker->deadline_ms = 0;
		probe_close(checker->probe);
	}
	report_check(report, check, &verdict, clock_now_us() - began_us);
	return verdict.outcome;
}

/* Whether nobody answers any more: what comes later is not to be accused of it. */
static bool
is_gone(struct checker *checker)
{
	const struct probe_opening opening = {.offers_v2 = checker->version == 2};
	const bool answers = probe_open(checker->probe, &opening) || probe_status(checker->probe) != 0;

	probe_close(checker->probe);
	return !answers;
}

/* Run what is selected. Ends early when nobody reads the report. */
static void
run_checks(struct checker *checker, const struct obstacles *obstacles, const struct selection *selection,
	struct report *report)
{
	char gone[VERDICT_TEXT_SIZE] = "";

	for (const struct check_group *group = check_groups; group->name != NULL; group++) {
		bool begun = false;

		for (const struct check *check = group->checks; check->name != NULL && report_is_written(); check++) {
			const char *obstacle = gone;

			if (!selection_has(selection, check))
				continue;
			if (!begun)
				report_group(report, group->name, group->about);
			begun = true;
			if (gone[0] == '\0')
				obstacle = learn_obstacle(checker, obstacles, check, group->checks == handshake_checks);
			if (run_check(checker, check, obstacle, report) == OUTCOME_FAIL && is_gone(checker))
				snprintf(gone, sizeof gone, "the server is gone since %s", check->name);
		}
	}
}

/* What a person should know before the checks. */
static void
make_note(const struct obstacles *obstacles, char *text, size_t n)
{
	text[0] = '\0';
	if (obstacles->handshake[0] != '\0')
		snprintf(text, n, "Only the handshake is tested: %s", obstacles->handshake);
	else if (obstacles->targets[0] != '\0')
		snprintf(text, n, "Little is tested: %s; see --target, --targets and --listen", obstacles->targets);
	else if (obstacles->udp[0] != '\0')
		snprintf(text, n, "UDP is not tested: %s", obstacles->udp);
}

/* Find out what the server is, and test it. Returns the exit code. */
static int
test(struct checker *checker, const struct settings *settings)
{
	const struct selection selection = {&settings->only, &settings->skip};
	const char *url = settings->tunnel.servers[0].text;
	struct report *report = report_new(settings->format, url, selection_count(&selection), settings->verbosity);
	struct obstacles obstacles;
	char note[2 * VERDICT_TEXT_SIZE];
	int code = EXIT_NO_CONNECTION;

	if (report == NULL) {
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	if (learn(checker, &obstacles)) {
		make_note(&obstacles, note, sizeof note);
		report_server(report, checker, note);
		run_checks(checker, &obstacles, &selection, report);
		code = report_end(report) ? EXIT_SUCCESS : EXIT_FAILURE;
	} else {
		report_no_connection(report, probe_failure(checker->probe));
		log_error("cannot connect to %s: %s", url, probe_failure(checker->probe));
	}
	report_free(report);
	return code;
}

/* Do what the options say of a server. */
static int
run(const struct settings *settings, struct event_base *base)
{
	const struct place *place = &settings->place;
	struct credentials credentials = {0};
	struct checker checker = {
		.base = base,
		.options = &settings->tunnel,
		.credentials = &credentials,
		.timeout_ms = settings->timeout_ms,
	};
	struct targets *targets;
	int code = EXIT_FAILURE;

	if (!credentials_load(&credentials, &settings->tunnel.credentials))
		return EXIT_FAILURE;
	targets = settings->target != NULL ? targets_elsewhere(place->host, place->port)
					   : targets_start(base, place->host, place->port);
	checker.targets = targets;
	if (settings->bench) {
		code = bench_run(&(struct bench_options){
			.base = base,
			.options = &settings->tunnel,
			.credentials = &credentials,
			.timeout_ms = settings->timeout_ms,
			.targets = targets,
			.json = settings->json,
			.seconds = (double)settings->bench_ms / 1000,
		});
	} else {
		checker.probe = probe_new(&checker);
		if (checker.probe != NULL)
			code = test(&checker, settings);
		probe_free(checker.probe);
	}
	if (targets != NULL)
		targets_free(targets);
	credentials_free(&credentials);
	return code;
}

int
main(int argc, char **argv)
{
	struct settings settings = {.timeout_ms = 5000, .bench_ms = 2000, .tunnel = {.udp = true}};
	const enum options_result result = options_parse(&program, argc, argv, &settings);
	const struct selection selection = {&settings.only, &settings.skip};
	struct event_base *base;
	int code = EXIT_SUCCESS;

	if (result != OPTIONS_RUN)
		return result;
	descriptors_fill_standard();
	if (!check(&settings))
		return OPTIONS_WRONG;
	wire_init_log();
	descriptors_raise_limit();
	base = event_base_new();
	if (base == NULL) {
		log_error("cannot set up the event loop");
		return EXIT_FAILURE;
	}
	if (settings.list)
		selection_print(&selection);
	else
		code = settings.targets ? serve_targets(&settings, base) : run(&settings, base);
	event_base_free(base);
	libevent_global_shutdown();
	switch (output_finish()) {
	case OUTPUT_WRITTEN:
		return code;
	case OUTPUT_UNWANTED:
		return settings.list ? EXIT_SUCCESS : EXIT_FAILURE; /* the checks have ended early */
	case OUTPUT_FAILED:
		break;
	}
	return EXIT_FAILURE;
}
