/*
 * --probe: goes the whole way to a destination once, and prints each step and its time on standard output. For main.c.
 */
#ifndef TRIAL_H
#define TRIAL_H

#include <stdint.h>

#include <event2/event.h>

#include "tunnel.h"

struct trial_options {
	struct tunnel_options tunnel;
	const char *host;
	uint16_t port;
	uint64_t patience_ms; /* for the server to open the stream */
};

/* Run the probe. Returns the exit code. A failure is logged as well. */
int trial_run(struct event_base *base, const struct trial_options *options);

#endif
