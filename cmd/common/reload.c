#include "reload.h"

#include <signal.h>
#include <stdlib.h>

#include "notify.h"

struct reload_signal {
	struct event *event;
	void (*callback)(void *arg);
	void *arg;
};

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct reload_signal *reload = arg;

	(void)number, (void)what;
	notify_reloading();
	reload->callback(reload->arg);
	notify_ready();
}

struct reload_signal *
reload_signal_new(struct event_base *base, void (*callback)(void *arg), void *arg)
{
	struct reload_signal *reload = calloc(1, sizeof *reload);

	if (reload == NULL)
		return NULL;
	reload->callback = callback;
	reload->arg = arg;
	reload->event = evsignal_new(base, SIGHUP, on_signal, reload);
	if (reload->event == NULL || event_add(reload->event, NULL) != 0) {
		reload_signal_free(reload);
		return NULL;
	}
	return reload;
}

void
reload_signal_free(struct reload_signal *reload)
{
	if (reload == NULL)
		return;
	if (reload->event != NULL)
		event_free(reload->event);
	free(reload);
}
