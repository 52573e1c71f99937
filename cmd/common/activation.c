#include "activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/util.h>
#include <sys/socket.h>

#include "log.h"

#define FIRST_FD 3

/* A decimal number without anything around it; -1 when it is none. */
static long
read_number(const char *text)
{
	char *end;
	long number;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	number = strtol(text, &end, 10);
	return errno == 0 && *end == '\0' ? number : -1;
}

static int
socket_option(int fd, int name)
{
	int value;
	socklen_t size = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

static bool
prepare(int fd)
{
	const int domain = socket_option(fd, SO_DOMAIN);

	if (socket_option(fd, SO_TYPE) != SOCK_STREAM || socket_option(fd, SO_ACCEPTCONN) != 1 ||
		(domain != AF_UNIX && domain != AF_INET && domain != AF_INET6)) {
		log_error("descriptor %d, which systemd passed, is not a listening socket; the socket unit must have "
			  "ListenStream= and Accept=no",
			fd);
		return false;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || evutil_make_socket_nonblocking(fd) != 0) {
		log_error("cannot use descriptor %d, which systemd passed: %s", fd, strerror(errno));
		return false;
	}
	return true;
}

bool
activation_take(int fds[ACTIVATION_MAX], size_t *count)
{
	const long pid = read_number(getenv("LISTEN_PID"));
	const long number = read_number(getenv("LISTEN_FDS"));

	*count = 0;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != getpid())
		return true; /* they were for another process, which did not take them out of the environment */
	if (number < 0 || number > ACTIVATION_MAX) {
		log_error("LISTEN_FDS is not a number from 0 to %d", ACTIVATION_MAX);
		return false;
	}
	for (int fd = FIRST_FD; fd < FIRST_FD + number; fd++) {
		if (!prepare(fd))
			return false;
		fds[(*count)++] = fd;
	}
	return true;
}
