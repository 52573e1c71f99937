#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "log.h"

#define STATUS_SIZE 512
/* How long a service manager that does not listen may hold up the program. */
#define PATIENCE_S 1

/* The address in NOTIFY_SOCKET: a path, or "@" and an abstract name. Returns its size, or 0. */
static socklen_t
find_manager(struct sockaddr_un *un)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const size_t size = path != NULL ? strlen(path) : 0;

	if (size < 2 || size >= sizeof un->sun_path || (path[0] != '/' && path[0] != '@'))
		return 0;
	memset(un, 0, sizeof *un);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, size);
	if (path[0] == '@')
		un->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

static void
send_state(const char *state)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_un un;
	const socklen_t size = find_manager(&un);
	const int fd = size > 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&un, size) < 0)
		log_debug("cannot reach the service manager at NOTIFY_SOCKET");
	close(fd);
}

void
notify_ready(void)
{
	send_state("READY=1");
}

void
notify_reloading(void)
{
	struct timespec now;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%ju",
		(uintmax_t)now.tv_sec * 1000000 + (uintmax_t)now.tv_nsec / 1000);
	send_state(state);
}

void
notify_stopping(void)
{
	send_state("STOPPING=1");
}

void
notify_status(const char *format, ...)
{
	char status[STATUS_SIZE];
	char state[STATUS_SIZE + sizeof "STATUS="];
	va_list args;

	va_start(args, format);
	vsnprintf(status, sizeof status, format, args);
	va_end(args);
	log_make_printable(status); /* a line's end would begin another assignment */
	snprintf(state, sizeof state, "STATUS=%s", status);
	send_state(state);
}
