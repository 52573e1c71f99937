/*
 * The destinations for a server under test. Everything happens in the turns of the event loop, a bounded piece of work
 * at a time, since the same loop serves the probe. A connection holds at most one read's worth of bytes: while it has
 * something to send, nothing more is read from it.
 */
#include "target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netdb.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event_struct.h>
#include <event2/listener.h>

#include <wisp/frame.h>

#include "bytes.h"
#include "datagram_echo.h"
#include "log.h"
#include "unanswering.h"

/* Beyond it, or without descriptors, the oldest connection goes: those of SILENT need not show that they are over. */
#define CONNECTIONS_MAX 1024
#define BACKLOG 512
#define READ_SIZE ((size_t)64 * 1024)
#define COUNT_SIZE 8
/* How far the lowest two bytes of an offset reach. */
#define PATTERN_SIZE ((size_t)64 * 1024)
#define SINK_ASKED 0xff
#define UDP_TARGETS 2
#define SILENT_RECEIVE_BYTES 65536

struct own_targets;

struct target {
	TAILQ_ENTRY(target) entry;
	struct own_targets *owner;
	enum target_kind kind;
	evutil_socket_t fd;
	struct event readable;
	struct event writable;
	struct evbuffer *out;
	uint64_t bytes; /* SINK: read. SOURCE: sent */
	uint64_t count; /* SOURCE: to be sent */
	size_t asked;   /* SOURCE: bytes of the count that have come */
	uint8_t request[COUNT_SIZE];
};

TAILQ_HEAD(target_list, target);

/* A TCP port. */
struct port {
	struct evconnlistener *listener;
	struct own_targets *owner;
	enum target_kind kind;
};

struct own_targets {
	struct targets targets; /* first: it is what others see, and all that there is of targets elsewhere */
	struct event_base *base;
	char *host; /* what targets.host points to */
	struct port tcp[TARGET_KINDS];
	evutil_socket_t refusing;
	struct unanswering unanswering;
	struct datagram_echo udp[UDP_TARGETS];
	struct target_list connections; /* the oldest first */
	size_t connection_count;
};

/* Shared by all connections: nothing stays in it between two turns. */
static uint8_t scratch[READ_SIZE];

/* ---- connections ---- */

static void
target_free(struct target *target)
{
	struct own_targets *own = target->owner;

	TAILQ_REMOVE(&own->connections, target, entry);
	own->connection_count--;
	if (target->kind == TARGET_TELLING)
		own->targets.telling_open--;
	event_del(&target->readable);
	event_del(&target->writable);
	evbuffer_free(target->out);
	evutil_closesocket(target->fd);
	free(target);
}

static bool
is_passing(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Wait for an event of its socket. Without memory for that, it is over. */
static void
watch(struct target *target, struct event *event)
{
	if (event_add(event, NULL) != 0)
		target_free(target);
}

/* Write what waits, and read on when that is all. */
static void
send_waiting(struct target *target)
{
	if (evbuffer_get_length(target->out) > 0 && evbuffer_write(target->out, target->fd) < 0 && !is_passing(errno)) {
		target_free(target);
		return;
	}
	if (evbuffer_get_length(target->out) > 0) {
		event_del(&target->readable);
		watch(target, &target->writable);
		return;
	}
	watch(target, &target->readable);
}

/* The bytes of a source at an offset: those of the first 64 KiB, with the rest of the offset over them. */
static void
fill(uint8_t *p, size_t n, uint64_t offset)
{
	static uint8_t first[PATTERN_SIZE];

	if (first[1] == 0)
		for (size_t i = 0; i < sizeof first; i++)
			first[i] = TARGET_BYTE(i);
	while (n > 0) {
		const size_t begin = (size_t)(offset % PATTERN_SIZE);
		const size_t part = n < PATTERN_SIZE - begin ? n : PATTERN_SIZE - begin;
		const uint8_t above = (uint8_t)(offset / PATTERN_SIZE);
		const uint8_t key[WISP_MASK_SIZE] = {above, above, above, above};

		memcpy(p, first + begin, part);
		wisp_mask(p, part, key, 0);
		p += part;
		n -= part;
		offset += part;
	}
}

/* Send what a source owes, as far as the socket takes a piece of it; and end when that was all. */
static void
send_source(struct target *target)
{
	const uint64_t left = target->count - target->bytes;
	const size_t n = left < sizeof scratch ? (size_t)left : sizeof scratch;
	ssize_t sent;

	fill(scratch, n, target->bytes);
	sent = n > 0 ? send(target->fd, scratch, n, MSG_NOSIGNAL) : 0;
	if (sent < 0 && !is_passing(errno)) {
		target_free(target);
		return;
	}
	if (sent > 0)
		target->bytes += (uint64_t)sent;
	if (target->bytes < target->count)
		watch(target, &target->writable);
	else
		target_free(target);
}

/* ---- what comes ---- */

static void
take_for_sink(struct target *target, size_t n)
{
	uint8_t answer[COUNT_SIZE];
	const uint8_t *p = scratch;

	while ((p = memchr(p, SINK_ASKED, n - (size_t)(p - scratch))) != NULL) {
		const uint64_t bytes = target->bytes + (uint64_t)(++p - scratch);

		store_le32(answer, (uint32_t)bytes);
		store_le32(answer + 4, (uint32_t)(bytes >> 32));
		evbuffer_add(target->out, answer, sizeof answer);
	}
	target->bytes += n;
}

static void
take_for_source(struct target *target, size_t n)
{
	if (target->asked == COUNT_SIZE)
		return; /* more than was to be said: read all the same, lest closing the socket becomes a reset */
	if (n > COUNT_SIZE - target->asked)
		n = COUNT_SIZE - target->asked;
	memcpy(target->request + target->asked, scratch, n);
	target->asked += n;
	if (target->asked < COUNT_SIZE)
		return;
	target->count = load_le32(target->request) | (uint64_t)load_le32(target->request + 4) << 32;
	send_source(target);
}

static void
take(struct target *target, size_t n)
{
	switch (target->kind) {
	case TARGET_ECHO:
		evbuffer_add(target->out, scratch, n);
		send_waiting(target);
		break;
	case TARGET_SINK:
		take_for_sink(target, n);
		send_waiting(target);
		break;
	case TARGET_SOURCE:
		take_for_source(target, n);
		break;
	case TARGET_REFUSING:
	case TARGET_SILENT:
	case TARGET_TELLING:
	case TARGET_KINDS:
		break;
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct target *target = arg;
	const ssize_t n = recv(fd, scratch, sizeof scratch, 0);

	(void)what;
	if (n > 0) {
		take(target, (size_t)n);
		return;
	}
	if (n < 0 && is_passing(errno))
		return;
	if (target->kind == TARGET_SOURCE && n == 0 && target->asked == COUNT_SIZE) {
		event_del(&target->readable); /* only a connection that is closed both ways stops it */
		return;
	}
	target_free(target);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct target *target = arg;

	(void)fd, (void)what;
	if (target->kind == TARGET_SOURCE)
		send_source(target);
	else
		send_waiting(target);
}

/* A silent one reads nothing, and sees no more than that its connection is broken, or ended with nothing unread. */
static void
on_silent(evutil_socket_t fd, short what, void *arg)
{
	int error = 0;
	socklen_t size = sizeof error;

	if ((what & EV_CLOSED) || (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0))
		target_free(arg);
}

static void
drop_oldest(struct own_targets *own)
{
	if (!TAILQ_EMPTY(&own->connections))
		target_free(TAILQ_FIRST(&own->connections));
}

static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	const struct port *port = arg;

	(void)listener;
	drop_oldest(port->owner);
}

static void
on_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int from_size, void *arg)
{
	const struct port *port = arg;
	struct own_targets *own = port->owner;
	struct target *target = calloc(1, sizeof *target);

	(void)listener, (void)from, (void)from_size;
	if (target != NULL)
		target->out = evbuffer_new();
	if (target == NULL || target->out == NULL) {
		free(target);
		evutil_closesocket(fd);
		return;
	}
	if (own->connection_count >= CONNECTIONS_MAX)
		drop_oldest(own);
	target->owner = own;
	target->kind = port->kind;
	target->fd = fd;
	if (port->kind == TARGET_SILENT)
		event_assign(
			&target->readable, own->base, fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_silent, target);
	else
		event_assign(&target->readable, own->base, fd, EV_READ | EV_PERSIST, on_readable, target);
	event_assign(&target->writable, own->base, fd, EV_WRITE, on_writable, target);
	TAILQ_INSERT_TAIL(&own->connections, target, entry);
	own->connection_count++;
	if (port->kind == TARGET_TELLING)
		own->targets.telling_open++;
	else if (port->kind == TARGET_ECHO)
		own->targets.echo_opened++;
	watch(target, &target->readable);
}

/* ---- ports ---- */

/* A socket on that port of an address of this machine, or on any if it is 0. Fills in which. -1 with errno set. */
static evutil_socket_t
bind_socket(const struct evutil_addrinfo *address, int type, uint16_t wanted, uint16_t *port)
{
	struct sockaddr_storage name;
	socklen_t size = (socklen_t)address->ai_addrlen;
	uint8_t *port_bytes = address->ai_family == AF_INET6 ? (uint8_t *)&((struct sockaddr_in6 *)&name)->sin6_port
							     : (uint8_t *)&((struct sockaddr_in *)&name)->sin_port;
	const evutil_socket_t fd = socket(address->ai_family, type, 0);

	memcpy(&name, address->ai_addr, size);
	store_be16(port_bytes, wanted);
	if (fd < 0)
		return -1;
	/* A port with connections of a run just over can be had again, but not one that somebody listens on. */
	if ((type == SOCK_STREAM && wanted != 0 && evutil_make_listen_socket_reuseable(fd) != 0) ||
		evutil_make_socket_nonblocking(fd) != 0 || evutil_make_socket_closeonexec(fd) != 0 ||
		bind(fd, (struct sockaddr *)&name, size) != 0 ||
		getsockname(fd, (struct sockaddr *)&name, &size) != 0) {
		const int error = errno;

		evutil_closesocket(fd);
		errno = error;
		return -1;
	}
	*port = load_be16(port_bytes);
	return fd;
}

static bool
open_tcp(struct own_targets *own, const struct evutil_addrinfo *address, enum target_kind kind, uint16_t wanted)
{
	struct port *port = &own->tcp[kind];
	const evutil_socket_t fd = bind_socket(address, SOCK_STREAM, wanted, &own->targets.tcp[kind]);

	if (fd < 0)
		return false;
	if (kind == TARGET_REFUSING) {
		own->refusing = fd; /* bound but not listening: it refuses, and nobody else can have it */
		return true;
	}
	/* So that little fits into the kernel; where this fails, more does. Connections inherit it. */
	if (kind == TARGET_SILENT)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){SILENT_RECEIVE_BYTES}, sizeof(int));
	port->owner = own;
	port->kind = kind;
	port->listener = evconnlistener_new(
		own->base, on_accepted, port, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (port->listener == NULL) {
		evutil_closesocket(fd);
		return false;
	}
	evconnlistener_set_error_cb(port->listener, on_accept_error);
	return true;
}

static bool
open_udp(struct own_targets *own, const struct evutil_addrinfo *address, size_t i, uint16_t wanted, uint16_t *port)
{
	const evutil_socket_t fd = bind_socket(address, SOCK_DGRAM, wanted, port);

	return fd >= 0 && datagram_echo_start(&own->udp[i], own->base, fd, &own->targets.datagrams);
}

static bool
open_unanswering(struct own_targets *own, const struct evutil_addrinfo *address, uint16_t wanted)
{
	const evutil_socket_t fd = bind_socket(address, SOCK_STREAM, wanted, &own->targets.unanswering);

	return fd >= 0 && unanswering_start(&own->unanswering, fd);
}

/* The port behind one that was asked for; behind any, any. */
static uint16_t
behind(uint16_t port, unsigned places)
{
	return (uint16_t)(port != 0 ? port + places : 0);
}

static bool
open_all(struct own_targets *own, const struct evutil_addrinfo *address, uint16_t base_port)
{
	struct targets *targets = &own->targets;

	for (enum target_kind kind = 0; kind < TARGET_KINDS; kind++)
		if (!open_tcp(own, address, kind, behind(base_port, kind)))
			return false;
	return open_udp(own, address, 0, behind(base_port, TARGET_KINDS), &targets->udp_echo) &&
	       open_udp(own, address, 1, behind(base_port, TARGET_KINDS + 1), &targets->udp_second) &&
	       open_unanswering(own, address, behind(base_port, TARGET_KINDS + 2));
}

/* ---- life ---- */

static struct own_targets *
new_targets(const char *host)
{
	struct own_targets *own = calloc(1, sizeof *own);

	if (own == NULL || (own->host = strdup(host)) == NULL) {
		log_error("out of memory");
		free(own);
		return NULL;
	}
	own->targets.host = own->host;
	own->refusing = -1;
	for (size_t i = 0; i < UDP_TARGETS; i++)
		datagram_echo_init(&own->udp[i]);
	unanswering_init(&own->unanswering);
	TAILQ_INIT(&own->connections);
	return own;
}

struct targets *
targets_start(struct event_base *base, const char *host, uint16_t base_port)
{
	const struct evutil_addrinfo hints = {.ai_flags = EVUTIL_AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	struct evutil_addrinfo *address = NULL;
	struct own_targets *own = new_targets(host);
	const int error = evutil_getaddrinfo(host, NULL, &hints, &address);

	if (own == NULL || error != 0) {
		if (error != 0)
			log_error("cannot have targets on %s: %s", host, evutil_gai_strerror(error));
		if (address != NULL)
			evutil_freeaddrinfo(address);
		targets_free(own != NULL ? &own->targets : NULL);
		return NULL;
	}
	own->base = base;
	own->targets.own = true;
	if (!open_all(own, address, base_port)) {
		log_error("cannot have targets on %s: %s", host, strerror(errno));
		targets_free(&own->targets);
		own = NULL;
	}
	evutil_freeaddrinfo(address);
	return own != NULL ? &own->targets : NULL;
}

struct targets *
targets_elsewhere(const char *host, uint16_t base_port)
{
	struct own_targets *own = new_targets(host);
	uint16_t port = base_port;

	if (own == NULL)
		return NULL;
	for (enum target_kind kind = 0; kind < TARGET_KINDS; kind++)
		own->targets.tcp[kind] = port++;
	own->targets.udp_echo = port++;
	own->targets.udp_second = port++;
	own->targets.unanswering = port;
	return (struct targets *)own;
}

bool
targets_leave_unanswered(const struct targets *targets)
{
	return !targets->own || unanswering_holds(&((const struct own_targets *)targets)->unanswering);
}

void
targets_free(struct targets *targets)
{
	struct own_targets *own = (struct own_targets *)targets;
	struct target *target;
	struct target *next;

	if (own == NULL)
		return;
	for (target = TAILQ_FIRST(&own->connections); target != NULL; target = next) {
		next = TAILQ_NEXT(target, entry);
		target_free(target);
	}
	for (enum target_kind kind = 0; kind < TARGET_KINDS; kind++)
		if (own->tcp[kind].listener != NULL)
			evconnlistener_free(own->tcp[kind].listener);
	if (own->refusing >= 0)
		evutil_closesocket(own->refusing);
	for (size_t i = 0; i < UDP_TARGETS; i++)
		datagram_echo_stop(&own->udp[i]);
	unanswering_stop(&own->unanswering);
	free(own->host);
	free(own);
}
