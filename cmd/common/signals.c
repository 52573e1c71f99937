#include "signals.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "notify.h"

enum place {
	PLACE_TERM,
	PLACE_INT,
	PLACE_HUP,
	PLACE_USR1,
	PLACES
};

struct signals {
	struct event *events[PLACES];
	const struct signals_callbacks *callbacks;
	void *arg;
	bool asked; /* to stop */
};

static void
on_stop_signal(evutil_socket_t number, short what, void *arg)
{
	struct signals *signals = arg;

	(void)what;
	if (signals->asked) {
		signal((int)number, SIG_DFL);
		raise((int)number);
		return;
	}
	signals->asked = true;
	notify_stopping();
	signals->callbacks->stop(signals->arg);
}

static void
on_reload_signal(evutil_socket_t number, short what, void *arg)
{
	const struct signals *signals = arg;

	(void)number, (void)what;
	notify_reloading();
	signals->callbacks->reload(signals->arg);
	notify_ready();
}

static void
on_report_signal(evutil_socket_t number, short what, void *arg)
{
	const struct signals *signals = arg;

	(void)number, (void)what;
	signals->callbacks->report(signals->arg);
}

/* Returns false without memory. */
static bool
take_signal(struct signals *signals, enum place place, struct event_base *base, int number, event_callback_fn on_signal)
{
	signals->events[place] = evsignal_new(base, number, on_signal, signals);
	return signals->events[place] != NULL && event_add(signals->events[place], NULL) == 0;
}

struct signals *
signals_new(struct event_base *base, const struct signals_callbacks *callbacks, void *arg)
{
	struct signals *signals = calloc(1, sizeof *signals);
	bool good;

	if (signals == NULL)
		return NULL;
	signal(SIGPIPE, SIG_IGN);
	signals->callbacks = callbacks;
	signals->arg = arg;
	good = take_signal(signals, PLACE_TERM, base, SIGTERM, on_stop_signal) &&
	       take_signal(signals, PLACE_INT, base, SIGINT, on_stop_signal);
	if (good && callbacks->reload != NULL)
		good = take_signal(signals, PLACE_HUP, base, SIGHUP, on_reload_signal);
	if (good && callbacks->report != NULL)
		good = take_signal(signals, PLACE_USR1, base, SIGUSR1, on_report_signal);
	if (good)
		return signals;
	signals_free(signals);
	return NULL;
}

void
signals_free(struct signals *signals)
{
	if (signals == NULL)
		return;
	for (size_t i = 0; i < PLACES; i++)
		if (signals->events[i] != NULL)
			event_free(signals->events[i]);
	free(signals);
}
