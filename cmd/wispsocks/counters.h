/* What the bridge has done so far, for the log. */
#ifndef COUNTERS_H
#define COUNTERS_H

#include <stddef.h>
#include <stdint.h>

struct counters {
	uint64_t tcp_streams; /* that were ever opened */
	uint64_t udp_streams;
	uint64_t failed[UINT8_MAX + 1]; /* streams that ended otherwise than well, by reason */
	uint64_t up_bytes;              /* of programs' data */
	uint64_t down_bytes;
};

/* What is at the moment. */
struct gauges {
	size_t open_streams;
	size_t programs;
	size_t waiting_bytes;   /* received data that programs have not taken */
	uint64_t connections;   /* to the server that ever stood */
	uint64_t round_trip_us; /* of the last ping; 0 when there was none */
};

/* A stream has ended for this reason. */
void counters_end(struct counters *counters, uint8_t reason);

/* Log all of it, in one line. */
void counters_log(const struct counters *counters, const struct gauges *gauges);

#endif
