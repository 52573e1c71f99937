#include "schedule.h"

void
wisp_schedule_init(struct wisp_schedule *schedule)
{
	TAILQ_INIT(&schedule->new_flows);
	TAILQ_INIT(&schedule->old_flows);
}

static void
append(struct wisp_schedule *schedule, struct wisp_flow *flow, enum wisp_flow_list list)
{
	flow->list = list;
	TAILQ_INSERT_TAIL(list == WISP_FLOW_NEW ? &schedule->new_flows : &schedule->old_flows, flow, entry);
}

void
wisp_schedule_add(struct wisp_schedule *schedule, struct wisp_flow *flow)
{
	if (flow->list != WISP_FLOW_IDLE)
		return;
	flow->deficit_bytes = WISP_QUANTUM;
	append(schedule, flow, WISP_FLOW_NEW);
}

void
wisp_schedule_resume(struct wisp_schedule *schedule, struct wisp_flow *flow)
{
	if (flow->list == WISP_FLOW_IDLE)
		append(schedule, flow, WISP_FLOW_OLD);
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
		wisp_schedule_remove(schedule, flow);
		append(schedule, flow, WISP_FLOW_OLD);
	}
}

void
wisp_schedule_charge(struct wisp_flow *flow, size_t n)
{
	flow->deficit_bytes -= (int64_t)n;
}

/*
 * A new flow that has run dry waits out a round among the old ones before it counts as new again: otherwise a flow
 * could keep its place in front by sending in small portions.
 */
void
wisp_schedule_empty(struct wisp_schedule *schedule, struct wisp_flow *flow)
{
	const bool wait = flow->list == WISP_FLOW_NEW && !TAILQ_EMPTY(&schedule->old_flows);

	wisp_schedule_remove(schedule, flow);
	if (wait)
		append(schedule, flow, WISP_FLOW_OLD);
}

void
wisp_schedule_remove(struct wisp_schedule *schedule, struct wisp_flow *flow)
{
	if (flow->list == WISP_FLOW_IDLE)
		return;
	TAILQ_REMOVE(flow->list == WISP_FLOW_NEW ? &schedule->new_flows : &schedule->old_flows, flow, entry);
	flow->list = WISP_FLOW_IDLE;
}
