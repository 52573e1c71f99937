#include "apart.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include "log.h"

/* It has only to bind some sockets. */
#define START_MS 10000

static void
on_let_go(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

/* What the process does: tell which ports there are, and serve them until the tester lets go. */
static int
serve(const char *host, int tell, int leash)
{
	struct event_base *base = event_base_new();
	struct targets *targets = base != NULL ? targets_start(base, host, 0) : NULL;
	struct event *let_go = base != NULL ? event_new(base, leash, EV_READ, on_let_go, base) : NULL;
	const bool good = targets != NULL && let_go != NULL && event_add(let_go, NULL) == 0 &&
			  write(tell, targets, sizeof *targets) == (ssize_t)sizeof *targets;

	close(tell);
	if (good)
		event_base_dispatch(base);
	if (let_go != NULL)
		event_free(let_go);
	targets_free(targets);
	if (base != NULL)
		event_base_free(base);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Hear which ports there are: one write, so short that it comes whole. */
static bool
hear(int fd, struct targets *targets)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, START_MS) == 1 && read(fd, targets, sizeof *targets) == (ssize_t)sizeof *targets;
}

static void
close_pipe(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

bool
apart_start(struct apart *apart, const char *host)
{
	int tell[2], leash[2];
	bool good;

	memset(apart, 0, sizeof *apart);
	if (pipe2(tell, O_CLOEXEC) != 0) {
		log_error("cannot have targets of their own: %s", strerror(errno));
		return false;
	}
	if (pipe2(leash, O_CLOEXEC) != 0 || (apart->pid = fork()) < 0) {
		log_error("cannot have targets of their own: %s", strerror(errno));
		close_pipe(tell);
		return false;
	}
	if (apart->pid == 0) {
		close(tell[0]);
		close(leash[1]);
		signal(SIGINT, SIG_IGN); /* which a terminal sends to both: the tester ends first */
		_exit(serve(host, tell[1], leash[0]));
	}
	close(tell[1]);
	close(leash[0]);
	apart->leash = leash[1];
	good = hear(tell[0], &apart->targets);
	close(tell[0]);
	apart->targets.host = host;
	apart->targets.own = false;
	if (!good)
		apart_stop(apart);
	return good;
}

void
apart_stop(struct apart *apart)
{
	if (apart->pid <= 0)
		return;
	close(apart->leash);
	while (waitpid(apart->pid, NULL, 0) < 0 && errno == EINTR)
		;
	apart->pid = 0;
}
