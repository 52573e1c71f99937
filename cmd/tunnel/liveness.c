#include "liveness.h"

#include <stdio.h>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "clock.h"

/* How much too early a timer may be by the coarse clock. */
#define EARLY_MS 25

static void
ping(struct liveness *liveness)
{
	liveness->pinged_us = clock_now_us();
	liveness->unanswered = true;
	liveness->callbacks->ping(liveness->arg);
}

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
	char reason[LIVENESS_REASON_SIZE];

	(void)fd, (void)what;
	if (silent_ms + EARLY_MS >= 2 * liveness->interval_ms && liveness->unanswered &&
		liveness->callbacks->listens(liveness->arg)) {
		snprintf(reason, sizeof reason, "nothing was heard from the server for %.3g s",
			(double)silent_ms / 1000);
		liveness->callbacks->gone(liveness->arg, reason);
		return;
	}
	ping(liveness);
	set_ping_timer(liveness, silent_ms);
}

/* ---- what the kernel knows ---- */

/* Returns false when the kernel does not say. */
static bool
take_sample(const struct liveness *liveness, struct silence_sample *sample)
{
	struct tcp_info info;
	socklen_t size = sizeof info;
	int queued_bytes = 0;

	if (getsockopt(liveness->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
		ioctl(liveness->fd, SIOCOUTQ, &queued_bytes) != 0)
		return false;
	sample->queued_bytes = (uint32_t)queued_bytes;
	sample->unacked = info.tcpi_unacked;
	sample->tries = (uint32_t)info.tcpi_retransmits + info.tcpi_probes;
	sample->sent_ago_ms = info.tcpi_last_data_sent;
	/* Data that acknowledges nothing new does not count as an acknowledgement. */
	sample->heard_ago_ms =
		info.tcpi_last_ack_recv < info.tcpi_last_data_recv ? info.tcpi_last_ack_recv : info.tcpi_last_data_recv;
	return true;
}

static void
look_again(struct liveness *liveness, uint64_t delay_ms)
{
	const struct timeval tv = clock_timeval(delay_ms);

	evtimer_add(&liveness->look_timer, &tv);
}

/* Ask the server, and see in time whether it has answered. */
static void
begin_to_doubt(struct liveness *liveness, const char *event)
{
	struct silence_sample sample;

	if (!take_sample(liveness, &sample))
		return;
	liveness->doubt = event;
	silence_doubt(&liveness->silence, clock_now_ms(), sample.tries);
	ping(liveness);
	look_again(liveness, SILENCE_DOUBT_MS);
}

static void
say_gone(struct liveness *liveness, uint64_t now_ms)
{
	const double seconds = (double)(now_ms - liveness->silence.since_ms) / 1000;
	char reason[LIVENESS_REASON_SIZE];

	if (liveness->doubt != NULL)
		snprintf(reason, sizeof reason, "no answer from the server for %.3g s after %s", seconds,
			liveness->doubt);
	else
		snprintf(reason, sizeof reason, "the server's machine has acknowledged nothing for %.3g s", seconds);
	liveness->callbacks->gone(liveness->arg, reason);
}

/* The server has answered: what made us doubt is settled, but what happened meanwhile is not. */
static void
settle(struct liveness *liveness)
{
	const char *next = liveness->next_doubt;

	liveness->doubt = liveness->next_doubt = NULL;
	if (next != NULL)
		begin_to_doubt(liveness, next);
}

static void
on_look_timer(evutil_socket_t fd, short what, void *arg)
{
	struct liveness *liveness = arg;
	const uint64_t now_ms = clock_now_ms();
	enum silence_verdict verdict;
	struct silence_sample sample;
	uint64_t look_ms;

	(void)fd, (void)what;
	if (!take_sample(liveness, &sample))
		return;
	verdict = silence_judge(&liveness->silence, now_ms, &sample, &look_ms);
	if (verdict == SILENCE_GONE) {
		say_gone(liveness, now_ms);
		return;
	}
	if (verdict != SILENCE_OVER)
		look_again(liveness, look_ms);
	if (verdict == SILENCE_DOUBTED && !liveness->unanswered)
		ping(liveness);
	if (!liveness->silence.doubted)
		settle(liveness);
}

/* ---- what the tunnel says ---- */

void
liveness_init(struct liveness *liveness, struct event_base *base, uint64_t interval_ms,
	const struct liveness_callbacks *callbacks, void *arg)
{
	*liveness = (struct liveness){
		.callbacks = callbacks,
		.arg = arg,
		.interval_ms = interval_ms,
		.fd = -1,
	};
	evtimer_assign(&liveness->ping_timer, base, on_ping_timer, liveness);
	evtimer_assign(&liveness->look_timer, base, on_look_timer, liveness);
}

void
liveness_begin(struct liveness *liveness, int fd)
{
	liveness->fd = fd;
	liveness->doubt = liveness->next_doubt = NULL;
	silence_reset(&liveness->silence);
	liveness_heard(liveness);
	set_ping_timer(liveness, 0);
}

void
liveness_end(struct liveness *liveness)
{
	evtimer_del(&liveness->ping_timer);
	evtimer_del(&liveness->look_timer);
	liveness->fd = -1;
}

void
liveness_sent(struct liveness *liveness)
{
	if (liveness->fd >= 0 && !evtimer_pending(&liveness->look_timer, NULL))
		look_again(liveness, SILENCE_LOOK_MS);
}

void
liveness_heard(struct liveness *liveness)
{
	liveness->heard_ms = clock_now_ms();
	liveness->unanswered = false;
}

/* Most pings are all that is sent for long: when they are answered, there is no need to wake up and look. */
void
liveness_pong(struct liveness *liveness)
{
	struct silence_sample sample;

	liveness->round_trip_us = clock_now_us() - liveness->pinged_us;
	if (liveness->doubt == NULL && take_sample(liveness, &sample) && sample.queued_bytes == 0) {
		silence_reset(&liveness->silence);
		evtimer_del(&liveness->look_timer);
	}
}

void
liveness_doubt(struct liveness *liveness, const char *event)
{
	if (liveness->fd < 0)
		return;
	if (liveness->doubt != NULL)
		liveness->next_doubt = event;
	else
		begin_to_doubt(liveness, event);
}
