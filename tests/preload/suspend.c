/*
 * To be preloaded into wispsocks, which then believes that its machine has been suspended when a test says so:
 *
 *   SUSPEND_CLOCK=FILE  for how many seconds in all, in decimal
 *   SUSPEND_BELL=FIFO   each byte written to it is a moment at which the machine has just woken up
 *
 * The kernel tells programs of that by a timer that is cancelled: the FIFO is that timer here.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sys/timerfd.h>

static int clock_fd = -1, bell_fd = -1;

static int
open_named(const char *variable, int flags)
{
	const char *path = getenv(variable);
	const int fd = path != NULL ? open(path, flags | O_CLOEXEC) : -1;

	if (fd < 0)
		_exit(99);
	return fd;
}

__attribute__((constructor)) static void
open_files(void)
{
	clock_fd = open_named("SUSPEND_CLOCK", O_RDONLY);
	bell_fd = open_named("SUSPEND_BELL", O_RDWR | O_NONBLOCK);
}

/* The parameters' names are our own. NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t clock, struct timespec * now);
	char text[32];
	ssize_t n;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	if (real(clock, now) != 0)
		return -1;
	if (clock != CLOCK_BOOTTIME || (n = pread(clock_fd, text, sizeof text - 1, 0)) <= 0)
		return 0;
	text[n] = '\0';
	now->tv_sec += strtol(text, NULL, 10);
	return 0;
}

int
timerfd_create(int clock, int flags)
{
	(void)clock, (void)flags;
	return dup(bell_fd);
}

int
timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *before)
{
	(void)fd, (void)flags, (void)value, (void)before;
	return 0;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
