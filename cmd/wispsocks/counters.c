#include "counters.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <wisp/packet.h>

#include "log.h"

#define LIST_SIZE 600

void
counters_end(struct counters *counters, uint8_t reason)
{
	const char *unknown = wisp_reason_text(WISP_REASON_UNKNOWN);

	if (strcmp(wisp_reason_text(reason), unknown) == 0)
		reason = WISP_REASON_UNKNOWN;
	if (reason != WISP_REASON_VOLUNTARY)
		counters->failed[reason]++;
}

/* Returns how many failed; writes of what, such as " (connection refused 3, unknown 1)". */
static uint64_t
list_failures(const struct counters *counters, char list[LIST_SIZE])
{
	uint64_t all = 0;
	int n = 0;

	list[0] = '\0';
	for (unsigned reason = 0; reason <= UINT8_MAX; reason++) {
		const uint64_t count = counters->failed[reason];

		if (count == 0)
			continue;
		if (n < LIST_SIZE)
			n += snprintf(list + n, (size_t)(LIST_SIZE - n), "%s%s %" PRIu64, all == 0 ? " (" : ", ",
				wisp_reason_text((uint8_t)reason), count);
		all += count;
	}
	if (all > 0 && n < LIST_SIZE)
		snprintf(list + n, (size_t)(LIST_SIZE - n), ")");
	return all;
}

void
counters_log(const struct counters *counters, const struct gauges *gauges)
{
	char failures[LIST_SIZE], ping[32] = "no ping yet";
	const uint64_t failed = list_failures(counters, failures);

	if (gauges->round_trip_us > 0)
		snprintf(ping, sizeof ping, "ping %.1f ms", (double)gauges->round_trip_us / 1000);
	log_info("counters: %zu programs; streams: %" PRIu64 " TCP and %" PRIu64 " UDP opened, %zu open, %" PRIu64
		 " failed%s; bytes: %" PRIu64 " up, %" PRIu64 " down, %zu waiting; %" PRIu64 " connections, "
		 "%" PRIu64 " reconnects, %s",
		gauges->programs, counters->tcp_streams, counters->udp_streams, gauges->open_streams, failed, failures,
		counters->up_bytes, counters->down_bytes, gauges->waiting_bytes, gauges->connections,
		gauges->connections > 0 ? gauges->connections - 1 : 0, ping);
}
