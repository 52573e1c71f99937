#include "stop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/resource.h>

#include "notify.h"

struct stop_signals {
	struct event *term;
	struct event *interrupt;
	void (*callback)(void *arg);
	void *arg;
	bool asked;
};

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct stop_signals *signals = arg;

	(void)what;
	if (signals->asked) {
		signal((int)number, SIG_DFL);
		raise((int)number);
		return;
	}
	signals->asked = true;
	notify_stopping();
	signals->callback(signals->arg);
}

struct stop_signals *
stop_signals_new(struct event_base *base, void (*callback)(void *arg), void *arg)
{
	struct stop_signals *signals = calloc(1, sizeof *signals);

	if (signals == NULL)
		return NULL;
	signal(SIGPIPE, SIG_IGN);
	signals->callback = callback;
	signals->arg = arg;
	signals->term = evsignal_new(base, SIGTERM, on_signal, signals);
	signals->interrupt = evsignal_new(base, SIGINT, on_signal, signals);
	if (signals->term == NULL || signals->interrupt == NULL || event_add(signals->term, NULL) != 0 ||
		event_add(signals->interrupt, NULL) != 0) {
		stop_signals_free(signals);
		return NULL;
	}
	return signals;
}

void
stop_signals_free(struct stop_signals *signals)
{
	if (signals == NULL)
		return;
	if (signals->term != NULL)
		event_free(signals->term);
	if (signals->interrupt != NULL)
		event_free(signals->interrupt);
	free(signals);
}

unsigned
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > 1 << 20 ? 1 << 20 : (unsigned)limit.rlim_cur;
}

void
fill_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}
