#include "suspend.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/timerfd.h>

#include "clock.h"
#include "log.h"

/* Shorter sleeps do no harm to connections. */
#define SHORTEST_MS 1000
/* The end of time, as far as the type goes. */
#define LATEST ((time_t)(sizeof(time_t) > sizeof(int32_t) ? INT64_MAX : INT32_MAX))

struct suspend {
	int fd;
	struct event *event;
	void (*woken)(void *arg);
	void *arg;
	uint64_t suspended_ms; /* in all, up to the last time */
};

/* The clock was set, or the machine was suspended: the kernel then sets the clock at wake-up. */
static void
on_clock_set(evutil_socket_t fd, short what, void *arg)
{
	struct suspend *suspend = arg;
	const uint64_t suspended_ms = clock_suspended_ms();
	uint64_t expirations;

	(void)what;
	if (read(fd, &expirations, sizeof expirations) < 0 && errno != ECANCELED)
		return;
	if (suspended_ms < suspend->suspended_ms + SHORTEST_MS)
		return;
	log_debug("the machine was suspended for %.0f s", (double)(suspended_ms - suspend->suspended_ms) / 1000);
	suspend->suspended_ms = suspended_ms;
	suspend->woken(suspend->arg);
}

/* A timer that never expires, but is cancelled when the clock is set: see timerfd_create(2). */
static int
open_timer(void)
{
	const struct itimerspec never = {.it_value = {.tv_sec = LATEST}};
	const int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct suspend *
suspend_new(struct event_base *base, void (*woken)(void *arg), void *arg)
{
	struct suspend *suspend = calloc(1, sizeof *suspend);

	if (suspend == NULL)
		return NULL;
	suspend->woken = woken;
	suspend->arg = arg;
	suspend->suspended_ms = clock_suspended_ms();
	suspend->fd = open_timer();
	if (suspend->fd >= 0)
		suspend->event = event_new(base, suspend->fd, EV_READ | EV_PERSIST, on_clock_set, suspend);
	if (suspend->event == NULL || event_add(suspend->event, NULL) != 0) {
		log_debug("cannot watch for suspends: %s", strerror(errno));
		suspend_free(suspend);
		return NULL;
	}
	return suspend;
}

void
suspend_free(struct suspend *suspend)
{
	if (suspend == NULL)
		return;
	if (suspend->event != NULL)
		event_free(suspend->event);
	if (suspend->fd >= 0)
		close(suspend->fd);
	free(suspend);
}
