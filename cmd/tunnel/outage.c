#include "outage.h"

#include "clock.h"
#include "log.h"
#include "notify.h"
#include "url.h"

/* How long nothing is said of an attempt: most take less. */
#define SILENT_MS 1000

static void
on_outage_timer(evutil_socket_t fd, short what, void *arg)
{
	const struct outage *outage = arg;

	(void)fd, (void)what;
	log_info("connecting to %s", outage->server->text);
}

void
outage_init(struct outage *outage, struct event_base *base)
{
	*outage = (struct outage){.server = NULL};
	evtimer_assign(&outage->timer, base, on_outage_timer, outage);
}

void
outage_try(struct outage *outage, const struct url *server)
{
	const struct timeval tv = clock_timeval(SILENT_MS);

	outage->server = server;
	if (!outage->tried)
		evtimer_add(&outage->timer, &tv);
	outage->tried = true;
}

void
outage_lost(struct outage *outage, const struct url *server, const char *reason, uint64_t pause_ms)
{
	outage_end(outage);
	log_info("disconnected from %s: %s; next try in %.1f s", server->text, reason, (double)pause_ms / 1000);
	notify_status("not connected to %s: %s", server->authority, reason);
}

void
outage_failed(struct outage *outage, const struct url *server, const char *reason, uint64_t pause_ms)
{
	void (*const say)(const char *format, ...) = outage->warned ? log_info : log_warning;

	evtimer_del(&outage->timer);
	outage->warned = true;
	say("cannot connect to %s: %s; next try in %.1f s", server->text, reason, (double)pause_ms / 1000);
	notify_status("not connected to %s: %s", server->authority, reason);
}

void
outage_end(struct outage *outage)
{
	evtimer_del(&outage->timer);
	outage->tried = outage->warned = false;
}
