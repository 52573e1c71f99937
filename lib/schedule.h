/*
 * The order in which flows share one connection: deficit round robin with a list of new flows that goes first, as in
 * fq_codel (RFC 8290 section 4.2). A flow that sends little never waits behind one that has been sending all along.
 *
 * fq_codel calls each flow new that had nothing to send for a moment. Here, streams run dry all the time, since they
 * hold no queue of their own, so what a flow has sent is forgotten with time instead: one is new as long as it sends
 * less than a quantum in WISP_FRESH_MS.
 */
#ifndef WISP_SCHEDULE_H
#define WISP_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/queue.h>

/* How many bytes a flow may send before it goes behind the others. */
#define WISP_QUANTUM 16384
/* A flow that has sent nothing for so long is as good as new. */
#define WISP_FRESH_MS 250

enum wisp_flow_list {
	WISP_FLOW_IDLE, /* on no list */
	WISP_FLOW_NEW,
	WISP_FLOW_OLD,
};

/* Stands in the caller's structure for each flow; all zero is idle. */
struct wisp_flow {
	TAILQ_ENTRY(wisp_flow) entry;
	int64_t deficit_bytes; /* how much it may send before the others have their turn; less than 0 is a debt */
	uint64_t charged_ms;   /* up to when the deficit has been reckoned */
	enum wisp_flow_list list;
};

TAILQ_HEAD(wisp_flow_queue, wisp_flow);

struct wisp_schedule {
	struct wisp_flow_queue new_flows;
	struct wisp_flow_queue old_flows;
};

void wisp_schedule_init(struct wisp_schedule *schedule);

/* The flow has something to send. Nothing changes when that was known already. */
void wisp_schedule_add(struct wisp_schedule *schedule, struct wisp_flow *flow, uint64_t now_ms);

/* The flow whose turn it is, or NULL. It stays where it is until one of the calls below. */
struct wisp_flow *wisp_schedule_next(struct wisp_schedule *schedule);

/* The flow sent n bytes. */
void wisp_schedule_charge(struct wisp_flow *flow, size_t n, uint64_t now_ms);

/* The flow has more to send than what it sent: it is no newcomer any longer. Nothing changes for an old one. */
void wisp_schedule_demote(struct wisp_schedule *schedule, struct wisp_flow *flow);

/* Take the flow off its list: it has nothing to send, is held up, or gone. */
void wisp_schedule_remove(struct wisp_schedule *schedule, struct wisp_flow *flow);

#endif
