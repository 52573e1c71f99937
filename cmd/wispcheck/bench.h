/*
 * How fast servers are (`wispcheck --bench`): round trips, new streams, throughput, fairness, and the latency of a
 * small stream beside bulk. Several servers are measured in turns, one figure after the other.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "tunnel.h"

struct targets;

struct bench_options {
	struct event_base *base;
	const struct tunnel_options *options; /* all of its servers are measured */
	const struct credentials *credentials;
	uint64_t timeout_ms; /* of every wait */
	const struct targets *targets;
	bool json;
	double seconds; /* that each measurement takes; 0 for BENCH_SECONDS */
};

#define BENCH_SECONDS 2.0

/*
 * Measure, and print it on standard output. There must be no other probe at the time: it has one of its own. Returns
 * the exit code: 0; 1 when nothing could be measured; 3 when no server could be reached.
 */
int bench_run(const struct bench_options *options);

#endif
