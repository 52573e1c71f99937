#include "liveness.h"

#include "clock.h"

/* How much too early a timer may be by the coarse clock. */
#define EARLY_MS 25

/*
 * The next ping comes after an interval, or when the server would be gone: silence does not begin with a ping, and
 * would else be found out up to an interval late.
 */
static void
set_ping_timer(struct liveness *liveness, uint64_t silent_ms)
{
	const uint64_t interval_ms = liveness->interval_ms;
	const bool soon =
		liveness->callbacks->listens(liveness->arg) && silent_ms > interval_ms && silent_ms < 2 * interval_ms;
	const struct timeval tv = clock_timeval(soon ? 2 * interval_ms - silent_ms : interval_ms);

	if (interval_ms > 0)
		evtimer_add(&liveness->ping_timer, &tv);
}

static void
on_ping_timer(evutil_socket_t fd, short what, void *arg)
{
	struct liveness *liveness = arg;
	const uint64_t silent_ms = clock_now_ms() - liveness->heard_ms;

	(void)fd, (void)what;
	if (silent_ms + EARLY_MS >= 2 * liveness->interval_ms && liveness->unanswered &&
		liveness->callbacks->listens(liveness->arg)) {
		liveness->callbacks->gone(liveness->arg, silent_ms);
		return;
	}
	liveness->pinged_us = clock_now_us();
	liveness->unanswered = true;
	liveness->callbacks->ping(liveness->arg);
	set_ping_timer(liveness, silent_ms);
}

void
liveness_init(struct liveness *liveness, struct event_base *base, uint64_t interval_ms,
	const struct liveness_callbacks *callbacks, void *arg)
{
	*liveness = (struct liveness){
		.callbacks = callbacks,
		.arg = arg,
		.interval_ms = interval_ms,
	};
	evtimer_assign(&liveness->ping_timer, base, on_ping_timer, liveness);
}

void
liveness_begin(struct liveness *liveness)
{
	liveness_heard(liveness);
	set_ping_timer(liveness, 0);
}

void
liveness_end(struct liveness *liveness)
{
	evtimer_del(&liveness->ping_timer);
}

void
liveness_heard(struct liveness *liveness)
{
	liveness->heard_ms = clock_now_ms();
	liveness->unanswered = false;
}

void
liveness_pong(struct liveness *liveness)
{
	liveness->round_trip_us = clock_now_us() - liveness->pinged_us;
}
