/* How fast servers are: measured one after the other, and printed side by side. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

#include <event2/event.h>

#include "report.h"
#include "tunnel.h"

struct targets;

struct bench_options {
	struct event_base *base;
	const struct tunnel_options *tunnel; /* all of its servers are measured, in their order */
	const struct credentials *credentials;
	const struct targets *targets; /* NULL when there are none */
	uint64_t timeout_ms;           /* of every wait */
	enum report_format format;     /* TEXT or JSON */
};

/* Measure. Returns the exit code. */
int bench(const struct bench_options *options);

#endif
