#include "schedule.h"

void
wisp_schedule_init(struct wisp_schedule *schedule)
{
	TAILQ_INIT(&schedule->new_flows);
	TAILQ_INIT(&schedule->old_flows);
}

static void
unlink_flow(struct wisp_schedule *schedule, struct wisp_flow *flow)
{
	TAILQ_REMOVE(flow->list == WISP_FLOW_NEW ? &schedule->new_flows : &schedule->old_flows, flow, entry);
	flow->list = WISP_FLOW_IDLE;
}

static void
append(struct wisp_schedule *schedule, struct wisp_flow *flow, enum wisp_flow_list list)
{
	flow->list = list;
	TAILQ_INSERT_TAIL(list == WISP_FLOW_NEW ? &schedule->new_flows : &schedule->old_flows, flow, entry);
}

/* What a flow may send before others grows while it sends nothing, up to a quantum. */
static void
replenish(struct wisp_flow *flow, uint64_t now_ms)
{
	const uint64_t quiet_ms = now_ms - flow->charged_ms;

	flow->charged_ms = now_ms;
	if (quiet_ms < WISP_FRESH_MS)
		flow->deficit_bytes += (int64_t)(WISP_QUANTUM * quiet_ms / WISP_FRESH_MS);
	if (quiet_ms >= WISP_FRESH_MS || flow->deficit_bytes > WISP_QUANTUM)
		flow->deficit_bytes = WISP_QUANTUM;
}

void
wisp_schedule_add(struct wisp_schedule *schedule, struct wisp_flow *flow, uint64_t now_ms)
{
	if (flow->list != WISP_FLOW_IDLE)
		return;
	replenish(flow, now_ms);
	append(schedule, flow, flow->deficit_bytes > 0 ? WISP_FLOW_NEW : WISP_FLOW_OLD);
}

struct wisp_flow *
wisp_schedule_next(struct wisp_schedule *schedule)
{
	for (;;) {
		struct wisp_flow *flow = TAILQ_FIRST(&schedule->new_flows);

		if (flow == NULL)
			flow = TAILQ_FIRST(&schedule->old_flows);
		if (flow == NULL || flow->deficit_bytes > 0)
			return flow;
		flow->deficit_bytes += WISP_QUANTUM;
		unlink_flow(schedule, flow);
		append(schedule, flow, WISP_FLOW_OLD);
	}
}

void
wisp_schedule_charge(struct wisp_flow *flow, size_t n, uint64_t now_ms)
{
	flow->deficit_bytes -= (int64_t)n;
	flow->charged_ms = now_ms;
}

/* What an old flow has left of its turn does not make a newcomer of it. */
static void
forfeit(struct wisp_flow *flow)
{
	if (flow->deficit_bytes > 0)
		flow->deficit_bytes = 0;
}

void
wisp_schedule_demote(struct wisp_schedule *schedule, struct wisp_flow *flow)
{
	if (flow->list != WISP_FLOW_NEW)
		return;
	unlink_flow(schedule, flow);
	forfeit(flow);
	append(schedule, flow, WISP_FLOW_OLD);
}

void
wisp_schedule_remove(struct wisp_schedule *schedule, struct wisp_flow *flow)
{
	if (flow->list == WISP_FLOW_IDLE)
		return;
	if (flow->list == WISP_FLOW_OLD)
		forfeit(flow);
	unlink_flow(schedule, flow);
}
