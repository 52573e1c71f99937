/*
 * What a server is measured with, over the probe's connection, which has just been opened: streams that carry as much
 * as they can, a stream that sends one byte to and fro, and streams that are opened one after the other. Each returns
 * in a bounded time, whatever the server does.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe;
struct targets;

#define LOAD_STREAMS_MAX 64
#define LOAD_COMPLAINT_SIZE 200

struct load_site {
	struct probe *probe;
	const struct targets *targets;
	uint64_t timeout_ms;  /* when nothing moves */
	uint64_t duration_us; /* how long is measured */
	uint32_t credit;      /* of a new stream */
};

enum load_direction {
	LOAD_DOWN,
	LOAD_UP,
};

struct load_plan {
	enum load_direction direction; /* of the streams that carry much */
	size_t stream_count;           /* how many of them */
	bool echoes;                   /* and one that sends a byte to and fro */
};

struct load_result {
	double bytes_per_second; /* that arrived, of all streams */
	double fairness;  /* Jain's index of the streams' bytes: 1 when all have the same, 1/n when one has all */
	double median_us; /* of the byte's way to and fro; */
	double p99_us;    /* the longest one when there are less than 100 */
	char complaint[LOAD_COMPLAINT_SIZE]; /* what is wrong: without a final full stop; "" for nothing */
};

/* Returns false when it cannot be measured: the complaint says why. */
bool load_run(const struct load_site *site, const struct load_plan *plan, struct load_result *result);

/*
 * Open streams, some at a time: each echoes a byte and is closed. Returns how many a second; a negative number when it
 * cannot be measured: `complaint` says why. It may also say something when it can.
 */
double load_open_streams(const struct load_site *site, char complaint[LOAD_COMPLAINT_SIZE]);

#endif
