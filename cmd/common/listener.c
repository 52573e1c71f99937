#include "listener.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "clock.h"
#include "log.h"

#define BACKLOG 1024
/* How long to leave new connections in the queue when there are no descriptors for them. */
#define RETRY_MS 500
/* It is said again when it has been well for so long. */
#define SAY_AGAIN_MS 60000

struct listener {
	struct evconnlistener *evl;
	struct event *retry;
	struct endpoint endpoint;
	listener_callback *callback;
	void *arg;
	bool paused;
	uint64_t said_ms; /* when it was last said that descriptors or memory are out; 0 for never */
};

static void
on_accept(struct evconnlistener *evl, evutil_socket_t fd, struct sockaddr *from, int from_size, void *arg)
{
	struct listener *listener = arg;

	(void)evl, (void)from_size;
	listener->callback(fd, from, listener->arg);
}

static void
on_accept_error(struct evconnlistener *evl, void *arg)
{
	struct listener *listener = arg;
	const struct timeval tv = clock_timeval(RETRY_MS);
	const int error = errno;
	const uint64_t now_ms = clock_now_ms();

	(void)evl;
	if (listener->said_ms == 0 || now_ms - listener->said_ms > SAY_AGAIN_MS)
		log_warning("cannot accept a connection: %s; new ones wait", strerror(error));
	listener->said_ms = now_ms;
	if (evtimer_add(listener->retry, &tv) == 0)
		evconnlistener_disable(listener->evl);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;

	(void)fd, (void)what;
	if (!listener->paused)
		evconnlistener_enable(listener->evl);
}

void
listener_pause(struct listener *listener)
{
	listener->paused = true;
	evconnlistener_disable(listener->evl);
}

void
listener_resume(struct listener *listener)
{
	if (!listener->paused)
		return;
	listener->paused = false;
	if (!evtimer_pending(listener->retry, NULL))
		evconnlistener_enable(listener->evl);
}

/* Whether nobody listens behind a Unix socket's file any more. */
static bool
is_stale(const struct address *address)
{
	const struct sockaddr_un *un = (const void *)&address->storage;
	struct stat st;
	bool stale;
	int fd;

	if (lstat(un->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)un, address->size) != 0 && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

/* Bind and listen. Returns the socket, or -1 with errno. */
static evutil_socket_t
open_socket(const struct address *address)
{
	const struct sockaddr *sa = (const struct sockaddr *)&address->storage;
	const bool is_unix = sa->sa_family == AF_UNIX;
	const int on = 1;
	const int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask;
	int result;

	if (fd < 0)
		return -1;
	if (is_unix && is_stale(address))
		unlink(((const struct sockaddr_un *)sa)->sun_path);
	if (!is_unix)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (sa->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	mask = umask(~address->mode & 0777);
	result = bind(fd, sa, address->size);
	umask(mask);
	if (result != 0 || listen(fd, BACKLOG) != 0) {
		const int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* The address that the socket really has: port 0 has become a free one. */
static void
log_listening(const struct listener *listener, evutil_socket_t fd)
{
	struct address actual = {.size = sizeof actual.storage};
	char text[ADDRESS_TEXT_SIZE];

	if (getsockname(fd, (struct sockaddr *)&actual.storage, &actual.size) != 0)
		actual = listener->endpoint.address;
	address_format((const struct sockaddr *)&actual.storage, text);
	log_info("listening on %s", text);
}

static bool
start(struct listener *listener, struct event_base *base)
{
	const struct endpoint *endpoint = &listener->endpoint;
	char text[ADDRESS_TEXT_SIZE];
	evutil_socket_t fd;

	address_format((const struct sockaddr *)&endpoint->address.storage, text);
	fd = endpoint->fd >= 0 ? endpoint->fd : open_socket(&endpoint->address);
	if (fd < 0) {
		log_error("cannot listen on %s: %s; choose another address with --listen", text, strerror(errno));
		return false;
	}
	listener->retry = evtimer_new(base, on_retry, listener);
	listener->evl =
		evconnlistener_new(base, on_accept, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (listener->evl == NULL || listener->retry == NULL) {
		if (listener->evl == NULL)
			close(fd);
		log_error("cannot listen on %s: out of memory", text);
		return false;
	}
	evconnlistener_set_error_cb(listener->evl, on_accept_error);
	log_listening(listener, fd);
	return true;
}

struct listener *
listener_new(struct event_base *base, const struct endpoint *endpoint, listener_callback *callback, void *arg)
{
	struct listener *listener = calloc(1, sizeof *listener);

	if (listener == NULL) {
		log_error("cannot listen: out of memory");
		return NULL;
	}
	listener->endpoint = *endpoint;
	listener->callback = callback;
	listener->arg = arg;
	if (!start(listener, base)) {
		listener_free(listener);
		return NULL;
	}
	return listener;
}

/* The file of a socket that systemd passed is systemd's. */
static void
remove_file(const struct endpoint *endpoint)
{
	const struct sockaddr_un *un = (const void *)&endpoint->address.storage;

	if (un->sun_family == AF_UNIX && endpoint->fd < 0 && unlink(un->sun_path) != 0 && errno != ENOENT)
		log_warning("cannot remove %s: %s", un->sun_path, strerror(errno));
}

void
listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	if (listener->evl != NULL) {
		remove_file(&listener->endpoint);
		evconnlistener_free(listener->evl);
	}
	if (listener->retry != NULL)
		event_free(listener->retry);
	free(listener);
}
