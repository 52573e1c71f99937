#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apart.h"
#include "bench_report.h"
#include "check.h"
#include "load.h"
#include "log.h"
#include "probe.h"
#include "reply.h"

#define STREAMS_BESIDE 4
#define MEGABYTE 1e6

#define NONE BENCH_FIGURES

/* What is measured in one go, and where the figures go; NONE for nowhere. */
struct measurement {
	const char *name;
	struct load_plan plan; /* no streams and no echo: new streams are counted */
	enum bench_figure rate, fairness, median, p99;
};

static const struct measurement measurements[] = {
	{"round trip", {LOAD_DOWN, 0, true}, NONE, NONE, BENCH_ROUND_TRIP_MEDIAN, BENCH_ROUND_TRIP_P99},
	{"new streams", {LOAD_DOWN, 0, false}, BENCH_NEW_STREAMS, NONE, NONE, NONE},
	{"down, 1 stream", {LOAD_DOWN, 1, false}, BENCH_DOWN_1, NONE, NONE, NONE},
	{"down, 10 streams", {LOAD_DOWN, 10, false}, BENCH_DOWN_10, BENCH_DOWN_10_FAIRNESS, NONE, NONE},
	{"down, 50 streams", {LOAD_DOWN, 50, false}, BENCH_DOWN_50, NONE, NONE, NONE},
	{"up, 1 stream", {LOAD_UP, 1, false}, BENCH_UP_1, NONE, NONE, NONE},
	{"up, 10 streams", {LOAD_UP, 10, false}, BENCH_UP_10, BENCH_UP_10_FAIRNESS, NONE, NONE},
	{"up, 50 streams", {LOAD_UP, 50, false}, BENCH_UP_50, NONE, NONE, NONE},
	{"round trip beside 4 down", {LOAD_DOWN, STREAMS_BESIDE, true}, NONE, NONE, BENCH_BESIDE_DOWN_MEDIAN,
		BENCH_BESIDE_DOWN_P99},
	{"round trip beside 4 up", {LOAD_UP, STREAMS_BESIDE, true}, NONE, NONE, BENCH_BESIDE_UP_MEDIAN,
		BENCH_BESIDE_UP_P99},
};

struct bench {
	const struct bench_options *options;
	struct checker checker; /* what the probe needs to know */
	struct load_site site;
	struct bench_table table;
};

/* ---- the servers ---- */

/* Open a connection of its own for what comes next: nothing of what came before can be in its way. */
static bool
greet(struct bench *bench, struct bench_server *server, const char *why)
{
	const struct probe_opening opening = {.offers_v2 = bench->options->options->versions != WISP_VERSION_1};
	struct probe *probe = bench->checker.probe;

	probe_aim(probe, server->url);
	if (!probe_open(probe, &opening) || !probe_greet(probe)) {
		bench_note(server, why, probe_failure(probe));
		return false;
	}
	bench->site.credit = probe_handshake(probe)->credit;
	return true;
}

/* Whether the server leads to the targets. */
static bool
reaches_targets(struct bench *bench, struct bench_server *server)
{
	char text[BENCH_NOTE_SIZE];
	struct probe_event event;

	if (reply_echoes(&bench->checker, 1, &event))
		return true;
	snprintf(text, sizeof text, "the server does not lead to the targets at %s: there came %.150s",
		bench->checker.targets->host, probe_describe(&event));
	bench_note(server, "connection", text);
	return false;
}

/* Get to know the servers. Returns whether there is one at all. */
static bool
learn(struct bench *bench)
{
	bool any = false;

	for (size_t i = 0; i < bench->options->options->server_count; i++) {
		struct bench_server *server = &bench->table.servers[bench->table.server_count++];

		server->url = &bench->options->options->servers[i];
		for (size_t k = 0; k < BENCH_FIGURES; k++)
			server->figures[k] = -1;
		server->reached = greet(bench, server, "connection");
		if (!server->reached)
			continue;
		any = true;
		server->version = probe_handshake(bench->checker.probe)->version;
		server->credit = bench->site.credit;
		server->measured = reaches_targets(bench, server);
	}
	return any;
}

/* ---- measuring ---- */

static void
keep(struct bench_server *server, enum bench_figure figure, double value)
{
	if (figure != NONE)
		server->figures[figure] = value;
}

static void
measure(struct bench *bench, struct bench_server *server, const struct measurement *measurement)
{
	const struct load_plan *plan = &measurement->plan;
	struct load_result result = {0};

	if (!greet(bench, server, measurement->name))
		return;
	if (plan->stream_count == 0 && !plan->echoes) {
		keep(server, measurement->rate, load_open_streams(&bench->site, result.complaint));
	} else if (load_run(&bench->site, plan, &result)) {
		keep(server, measurement->rate, result.bytes_per_second / MEGABYTE);
		keep(server, measurement->fairness, result.fairness);
		keep(server, measurement->median, result.median_us);
		keep(server, measurement->p99, result.p99_us);
	}
	if (result.complaint[0] != '\0')
		bench_note(server, measurement->name, result.complaint);
	probe_close(bench->checker.probe);
}

static void
print_rows(const struct bench *bench, const struct measurement *measurement)
{
	const enum bench_figure rows[] = {
		measurement->rate, measurement->fairness, measurement->median, measurement->p99};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i] != NONE)
			bench_print_row(&bench->table, rows[i]);
}

/* Returns whether anything could be measured. */
static bool
measure_all(struct bench *bench)
{
	bool any = false;

	for (size_t m = 0; m < sizeof measurements / sizeof *measurements; m++) {
		for (size_t i = 0; i < bench->table.server_count; i++) {
			if (!bench->table.servers[i].measured)
				continue;
			measure(bench, &bench->table.servers[i], &measurements[m]);
			any = true;
		}
		if (!bench->options->json)
			print_rows(bench, &measurements[m]);
	}
	return any;
}

/* ---- all of it ---- */

static int
run(struct bench *bench)
{
	const bool json = bench->options->json;
	bool reached, measured;

	bench->checker.probe = probe_new(&bench->checker);
	bench->site.probe = bench->checker.probe;
	if (bench->site.probe == NULL)
		return EXIT_FAILURE;
	reached = learn(bench);
	if (!json)
		bench_print_head(&bench->table);
	measured = measure_all(bench);
	if (json)
		bench_print_json(&bench->table, (double)bench->site.duration_us / 1e6);
	else
		bench_print_notes(&bench->table);
	probe_free(bench->checker.probe);
	if (!reached) {
		log_error("cannot connect to any server");
		return EXIT_NO_CONNECTION;
	}
	if (!measured)
		log_error("no server leads to the targets: see --target, and what the server allows");
	return measured ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
bench_run(const struct bench_options *options)
{
	struct bench *bench = calloc(1, sizeof *bench);
	struct apart apart = {0};
	int code = EXIT_FAILURE;

	if (bench == NULL || options->targets == NULL) {
		log_error("%s", bench == NULL ? "out of memory" : "there are no targets to measure with");
		free(bench);
		return code;
	}
	bench->options = options;
	bench->checker = (struct checker){
		.base = options->base,
		.options = options->options,
		.credentials = options->credentials,
		.timeout_ms = options->timeout_ms,
	};
	bench->site = (struct load_site){
		.targets = options->targets,
		.timeout_ms = options->timeout_ms,
		.duration_us = (uint64_t)((options->seconds > 0 ? options->seconds : BENCH_SECONDS) * 1e6),
	};
	if (!options->targets->own || apart_start(&apart, options->targets->host)) {
		if (options->targets->own)
			bench->site.targets = &apart.targets;
		bench->checker.targets = bench->site.targets;
		code = run(bench);
	}
	if (!apart_stop(&apart)) {
		log_error("the targets have ended in the middle: what was measured is worth nothing");
		code = EXIT_FAILURE;
	}
	free(bench);
	return code;
}
