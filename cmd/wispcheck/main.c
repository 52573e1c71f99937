/* wispcheck: tests a Wisp server. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "credentials.h"
#include "log.h"
#include "options.h"
#include "probe.h"
#include "target.h"
#include "wire.h"

struct settings {
	struct tunnel_options tunnel;
	struct option_list servers;
	const char *only;
	uint64_t timeout_ms;
};

#define SETTING(member) offsetof(struct settings, member)

static const struct option_spec option_table[] = {
	{"The server", "server", 0, OPTION_LIST, SETTING(servers), "URL", "the server to test", 0, 0, NULL},
	{NULL, "cacert", 0, OPTION_TEXT, SETTING(tunnel.tls.cacert), "FILE",
		"trust these certificates instead of the system's", 0, 0, NULL},
	{NULL, "insecure", 0, OPTION_FLAG, SETTING(tunnel.tls.insecure), NULL, "do not verify the server's certificate",
		0, 0, NULL},
	{NULL, "only", 0, OPTION_TEXT, SETTING(only), "NAME", "only this check or group", 0, 0, NULL},
	{NULL, "timeout", 0, OPTION_SECONDS, SETTING(timeout_ms), "SECONDS", "of every wait (5)", 100, 3600000, NULL},
	{"General", "help", 'h', OPTION_HELP, 0, NULL, "show this", 0, 0, NULL},
	{0},
};

static const struct program program = {
	.name = "wispcheck",
	.synopsis = "[options] URL",
	.purpose = "Tests a Wisp server.",
	.operands = "URL is the server's: ws://host[:port]/path/ or wss://host[:port]/path/",
	.operand_option = "server",
	.operand_max = 1,
	.options = option_table,
};

/* Whether a stream of a type to a port of the targets echoes a byte. */
static bool
echoes(struct checker *checker, enum wisp_stream_type type, uint16_t port)
{
	const uint64_t patience = checker->timeout_ms;
	struct probe_event event;

	probe_send_connect(checker->probe, 77, type, checker->targets->host, port);
	probe_send_packet(checker->probe, WISP_DATA, 77, "x", 1);
	do
		probe_next_within(checker->probe, &event, patience);
	while (event.kind == PROBE_PING || (event.kind == PROBE_PACKET && event.type == WISP_CONTINUE));
	probe_send_close(checker->probe, 77, WISP_REASON_VOLUNTARY);
	return event.kind == PROBE_PACKET && event.type == WISP_DATA && event.stream == 77;
}

/* Find out what the server is. Returns false when there is no connection. */
static bool
learn(struct checker *checker)
{
	const struct wisp_handshake *handshake = probe_handshake(checker->probe);

	if (!probe_open(checker->probe, &(struct probe_opening){.offers_v2 = true}) || !probe_greet(checker->probe)) {
		fprintf(stderr, "wispcheck: %s\n", probe_failure(checker->probe));
		return false;
	}
	checker->version = handshake->version;
	checker->credit = handshake->credit;
	checker->udp = handshake->version == 1 || handshake->udp;
	if (checker->targets == NULL)
		return true;
	checker->reaches_targets = echoes(checker, WISP_TCP, checker->targets->tcp[TARGET_ECHO]);
	checker->reaches_udp_targets = checker->udp && echoes(checker, WISP_UDP, checker->targets->udp_echo);
	return true;
}

static void
run(struct checker *checker, const struct check *check)
{
	static const char *const words[] = {"pass", "FAIL", "warn", "skip"};
	struct verdict verdict = {0};

	if ((check->needs & NEEDS_TARGETS) && !checker->reaches_targets)
		verdict_skip(&verdict, "the server does not reach the targets");
	else if ((check->needs & NEEDS_UDP) && !checker->reaches_udp_targets)
		verdict_skip(&verdict, "no UDP");
	else if ((check->needs & NEEDS_V2) && checker->version < 2)
		verdict_skip(&verdict, "version 1");
	else
		check->run(checker, &verdict);
	printf("%s  %-36s %s [%s]%s%s\n", words[verdict.outcome], check->name, check->expected, check->section,
		verdict.came[0] != '\0' ? " -- " : "", verdict.came);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct settings settings = {.timeout_ms = 5000, .tunnel = {.udp = true, .confirm = false}};
	const enum options_result result = options_parse(&program, argc, argv, &settings);
	const struct check *const tables[] = {handshake_checks, stream_checks, credit_checks, error_checks, udp_checks};
	struct credentials credentials = {0};
	struct checker checker = {
		.options = &settings.tunnel,
		.credentials = &credentials,
		.timeout_ms = settings.timeout_ms,
	};

	if (result != OPTIONS_RUN)
		return result;
	if (settings.servers.count != 1 || url_parse(settings.servers.items[0], &settings.tunnel.servers[0]) != NULL)
		return OPTIONS_WRONG;
	settings.tunnel.server_count = 1;
	proxy_settings_init(&settings.tunnel.proxies, NULL);
	wire_init_log();
	checker.base = event_base_new();
	checker.timeout_ms = settings.timeout_ms;
	checker.probe = probe_new(&checker);
	checker.targets = targets_start(checker.base, "127.0.0.1", 0);
	if (checker.probe == NULL || !learn(&checker))
		return 3;
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
		for (const struct check *check = tables[t]; check->name != NULL; check++)
			if (settings.only == NULL || strncmp(check->name, settings.only, strlen(settings.only)) == 0)
				run(&checker, check);
	probe_free(checker.probe);
	return 0;
}
