#include "relay.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event_struct.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "clock.h"
#include "turn.h"

/*
 * Backlogs grow in pieces of this size: it and what libevent puts before it are a power of two, to which it rounds up.
 * Of larger pieces, what nothing has been written to would take a good part of the budget again.
 */
#define PIECE_SIZE (8192 - 64)
/* How often to look whether the other side still takes what the kernel has for it (RFC 1928 section 6 allows 10 s). */
#define LEAVING_MS 2000
#define DISCARD_SIZE 16384
/* Reads of what is dropped in one turn, before others have theirs. */
#define DISCARDS_PER_TURN 16

struct relay {
	struct event event; /* of the socket; its time-out is the relay's timer */
	const struct relay_callbacks *callbacks;
	void *arg;
	struct evbuffer *backlog; /* NULL while nothing has ever waited */
	size_t *total;
	uint64_t moved_ms; /* when the socket last gave or took something */
	uint64_t taken_ms; /* when it last took something; LEAVING: when the last look was */
	uint64_t stall_ms; /* 0 for no limit */
	evutil_socket_t fd;
	enum relay_state state;
	int error;            /* BROKEN: errno */
	int unsent_bytes;     /* LEAVING: that the other side had not confirmed at the last look */
	bool ended_here;      /* nothing more will be written */
	bool shut;            /* and the other side has been told */
	bool ended_there;     /* its end of data has been read */
	bool finishing;       /* CONNECTING: it is to be finished */
	bool resets;          /* the other side is to see an error */
	bool more_to_drop;    /* discarding goes on in the next turn */
	bool in_event, freed; /* freed within its own event: the memory is released after it */
};

static void on_event(evutil_socket_t fd, short what, void *arg);

/* ---- the backlog ---- */

size_t
relay_backlog(const struct relay *relay)
{
	return relay->backlog != NULL ? evbuffer_get_length(relay->backlog) : 0;
}

void
relay_charge(struct relay *relay, size_t *total)
{
	const size_t waiting = relay_backlog(relay);

	*relay->total -= waiting;
	*total += waiting;
	relay->total = total;
}

/* Keep what the socket does not take. */
static bool
keep(struct relay *relay, const char *p, size_t n)
{
	if (relay->backlog == NULL)
		relay->backlog = evbuffer_new();
	while (relay->backlog != NULL && n > 0) {
		const size_t size = n < PIECE_SIZE ? n : PIECE_SIZE;

		if (evbuffer_add(relay->backlog, p, size) != 0)
			break;
		*relay->total += size;
		p += size;
		n -= size;
	}
	return n == 0;
}

static void
drop_backlog(struct relay *relay)
{
	if (relay->backlog == NULL)
		return;
	*relay->total -= evbuffer_get_length(relay->backlog);
	evbuffer_free(relay->backlog);
	relay->backlog = NULL;
}

/* ---- the socket ---- */

struct relay *
relay_new(const struct relay_callbacks *callbacks, void *arg, size_t *total)
{
	struct relay *relay = malloc(sizeof *relay);

	if (relay == NULL)
		return NULL;
	*relay = (struct relay){.callbacks = callbacks, .arg = arg, .total = total, .fd = -1};
	relay->moved_ms = relay->taken_ms = clock_now_ms();
	return relay;
}

enum relay_state
relay_state(const struct relay *relay)
{
	return relay->state;
}

int
relay_error(const struct relay *relay)
{
	return relay->error;
}

evutil_socket_t
relay_socket(const struct relay *relay)
{
	return relay->fd;
}

uint64_t
relay_idle_ms(const struct relay *relay)
{
	return clock_now_ms() - relay->moved_ms;
}

uint64_t
relay_stalled_ms(const struct relay *relay)
{
	return relay_backlog(relay) > 0 ? clock_now_ms() - relay->taken_ms : 0;
}

/* The timer ends once this time has passed without an event. Returns false without memory. */
static bool
set_timer(struct relay *relay, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	return event_add(&relay->event, &tv) == 0;
}

static void
close_socket(struct relay *relay, bool reset)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (relay->fd < 0)
		return;
	event_del(&relay->event);
	if (reset)
		setsockopt(relay->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(relay->fd);
	relay->fd = -1;
}

static void
set_broken(struct relay *relay, int error)
{
	relay->state = RELAY_BROKEN;
	relay->error = error;
}

static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Read up to n bytes. 0 means none for now, the end, or that the socket is broken. */
static size_t
receive(struct relay *relay, void *p, size_t n)
{
	const ssize_t size = recv(relay->fd, p, n, 0);

	if (size > 0) {
		relay->moved_ms = clock_now_ms();
		return (size_t)size;
	}
	if (size == 0)
		relay->ended_there = true;
	else if (!would_block(errno))
		set_broken(relay, errno);
	return 0;
}

size_t
relay_read(struct relay *relay, void *p, size_t n)
{
	size_t size;

	if (relay->state != RELAY_OPEN)
		return 0;
	size = receive(relay, p, n);
	if (relay->ended_there) {
		relay->state = RELAY_EOF;
		relay->moved_ms = clock_now_ms();
	}
	return size;
}

/* Read and drop, which may be without end. Returns whether there may be more. */
static bool
drop_some(struct relay *relay)
{
	char scratch[DISCARD_SIZE];
	int reads = 0;

	while (reads < DISCARDS_PER_TURN && receive(relay, scratch, sizeof scratch) > 0)
		reads++;
	relay->more_to_drop = reads == DISCARDS_PER_TURN && turn_again(&relay->event);
	return relay->more_to_drop;
}

void
relay_discard(struct relay *relay)
{
	if (relay->state != RELAY_OPEN)
		return;
	drop_some(relay);
	if (relay->ended_there)
		relay->state = RELAY_EOF;
}

size_t
relay_available(const struct relay *relay)
{
	int n = 0;

	if (relay->fd < 0 || ioctl(relay->fd, FIONREAD, &n) != 0 || n < 0)
		return 0;
	return (size_t)n;
}

/* Write as much as the socket takes. Returns how much, or -1 when it is broken. */
static ssize_t
write_some(struct relay *relay, const void *p, size_t n)
{
	const ssize_t size = send(relay->fd, p, n, MSG_NOSIGNAL);

	if (size >= 0) {
		relay->moved_ms = relay->taken_ms = clock_now_ms();
		return size;
	}
	if (would_block(errno))
		return 0;
	set_broken(relay, errno);
	return -1;
}

/* From the first byte that waits on, the socket has stall_ms to take something. Returns false without memory. */
static bool
watch_stall(struct relay *relay)
{
	return relay->fd < 0 || relay->stall_ms == 0 || set_timer(relay, relay->stall_ms);
}

static bool
has_stalled(struct relay *relay)
{
	const uint64_t stalled_ms = relay_stalled_ms(relay);

	if (relay->stall_ms == 0 || relay_backlog(relay) == 0)
		return false;
	if (stalled_ms < relay->stall_ms) {
		set_timer(relay, relay->stall_ms - stalled_ms);
		return false;
	}
	set_broken(relay, ETIMEDOUT);
	return true;
}

void
relay_limit_stall(struct relay *relay, uint64_t stall_ms)
{
	relay->stall_ms = stall_ms;
}

bool
relay_write(struct relay *relay, const void *p, size_t n)
{
	const bool waited = relay_backlog(relay) > 0;
	ssize_t written = 0;

	if (relay->state > RELAY_EOF || relay->ended_here)
		return false;
	if (relay->fd >= 0 && !waited)
		written = write_some(relay, p, n);
	if (written < 0)
		return false;
	n -= (size_t)written;
	if (n == 0)
		return true;
	if (!waited)
		relay->taken_ms = clock_now_ms();
	if (keep(relay, (const char *)p + written, n) && (waited || watch_stall(relay)))
		return true;
	set_broken(relay, ENOMEM);
	return false;
}

/* Write what has waited. Returns false when the socket is broken. */
static bool
flush(struct relay *relay)
{
	if (relay_backlog(relay) == 0)
		return true;
	do {
		const int written = evbuffer_write(relay->backlog, relay->fd);

		if (written <= 0 && !would_block(errno)) {
			set_broken(relay, errno);
			return false;
		}
		if (written <= 0)
			return true;
		*relay->total -= (size_t)written;
		relay->moved_ms = relay->taken_ms = clock_now_ms();
	} while (relay_backlog(relay) > 0);
	event_remove_timer(&relay->event);
	return true;
}

/*
 * Look whether the socket has failed or, after the end of its data, hung up, although nothing is read from it. A Unix
 * socket that was closed at the other end still gives what has been sent before, and one that has ended here and there
 * has hung up by itself.
 */
static bool
has_failed(struct relay *relay)
{
	const bool may_hang_up = relay->state == RELAY_OPEN || relay->shut;
	const short failures = (short)(may_hang_up ? POLLERR : POLLERR | POLLHUP);
	struct pollfd pfd = {.fd = relay->fd};
	int error = 0;
	socklen_t size = sizeof error;

	if (poll(&pfd, 1, 0) <= 0 || !(pfd.revents & failures))
		return false;
	getsockopt(relay->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	set_broken(relay, error != 0 ? error : ECONNRESET);
	return true;
}

/* ---- the end ---- */

/* Nothing more follows. The callback may free the relay. */
static void
be_done(struct relay *relay, bool reset)
{
	close_socket(relay, reset);
	drop_backlog(relay);
	relay->state = RELAY_BROKEN;
	relay->callbacks->done(relay->arg);
}

/* Drop what the other side still says, which may be without end. */
static void
linger(struct relay *relay)
{
	const bool more = drop_some(relay);

	if (relay->ended_there || relay->state == RELAY_BROKEN || (!more && !set_timer(relay, LEAVING_MS)))
		be_done(relay, false);
}

/* Look whether the other side still takes something: there is only so much that it can. */
static void
check_leaving(struct relay *relay)
{
	const uint64_t now_ms = clock_now_ms();
	int unsent_bytes = 0;

	if (now_ms - relay->taken_ms < LEAVING_MS) {
		linger(relay);
		return;
	}
	ioctl(relay->fd, SIOCOUTQ, &unsent_bytes);
	if (unsent_bytes == 0 || unsent_bytes >= relay->unsent_bytes) {
		be_done(relay, false);
		return;
	}
	relay->taken_ms = now_ms;
	relay->unsent_bytes = unsent_bytes;
	linger(relay);
}

/* Tell the other side that there is no more. Returns false when that cannot be. */
static bool
shut(struct relay *relay)
{
	if (!relay->shut && shutdown(relay->fd, SHUT_WR) != 0)
		return false;
	relay->shut = true;
	return true;
}

/*
 * The kernel has all that was written. The other side is told the end, and what it says is read: a socket that is
 * closed answers that with a reset, and drops what it has yet to send.
 */
static void
leave(struct relay *relay)
{
	if (relay->resets || relay->ended_there || !shut(relay)) {
		be_done(relay, relay->resets);
		return;
	}
	relay->state = RELAY_LEAVING;
	relay->taken_ms = clock_now_ms();
	relay->unsent_bytes = INT_MAX;
	linger(relay);
}

/* Drop what the other side says: it may not take what waits for it before it has got rid of its answer. */
static void
drop_while_draining(struct relay *relay)
{
	if (!relay->ended_there)
		drop_some(relay);
	if (relay->state == RELAY_BROKEN)
		be_done(relay, true);
}

/* Write on. One that takes nothing is given up. */
static void
drain(struct relay *relay)
{
	if (!flush(relay) || has_stalled(relay))
		be_done(relay, true);
	else if (relay_backlog(relay) == 0)
		leave(relay);
	else
		drop_while_draining(relay);
}

static void
end(struct relay *relay, uint64_t stall_ms, bool resets)
{
	relay->ended_here = relay->finishing = true;
	relay->resets = resets;
	relay->stall_ms = stall_ms;
	if (relay->state == RELAY_CONNECTING)
		return;
	if (relay->state == RELAY_BROKEN) {
		be_done(relay, true);
		return;
	}
	relay->state = RELAY_DRAINING;
	if (relay_backlog(relay) == 0)
		leave(relay);
	else if (!watch_stall(relay))
		be_done(relay, true);
	else
		drop_while_draining(relay); /* its edge may have been seen */
}

void
relay_finish(struct relay *relay, uint64_t stall_ms)
{
	end(relay, stall_ms, false);
}

void
relay_fail(struct relay *relay, uint64_t stall_ms)
{
	end(relay, stall_ms, true);
}

void
relay_end_data(struct relay *relay)
{
	relay->ended_here = true;
	if (relay->fd >= 0 && relay_backlog(relay) == 0)
		shut(relay);
}

static void
release(struct relay *relay)
{
	if (relay->in_event)
		relay->freed = true;
	else
		free(relay);
}

void
relay_abort(struct relay *relay)
{
	if (relay == NULL)
		return;
	close_socket(relay, true);
	drop_backlog(relay);
	release(relay);
}

void
relay_free(struct relay *relay)
{
	if (relay == NULL)
		return;
	close_socket(relay, false);
	drop_backlog(relay);
	release(relay);
}

/* ---- events ---- */

bool
relay_open(struct relay *relay, struct event_base *base, evutil_socket_t fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* fails on Unix sockets, where it is not needed */
	if (event_assign(&relay->event, base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_event, relay) != 0)
		return false;
	if (event_add(&relay->event, NULL) != 0)
		return false;
	if (relay_backlog(relay) > 0 && relay->stall_ms != 0 && !set_timer(relay, relay->stall_ms)) {
		event_del(&relay->event);
		return false;
	}
	relay->fd = fd;
	relay->state = relay->finishing ? RELAY_DRAINING : RELAY_OPEN;
	relay->moved_ms = relay->taken_ms = clock_now_ms();
	/* The result is reported only from the event loop. */
	if (!flush(relay) || relay->ended_here)
		event_active(&relay->event, EV_WRITE, 0);
	return true;
}

/* Write on. Returns false when the relay is broken, or the owner has put an end to it. */
static bool
serve_writing(struct relay *relay)
{
	const size_t before = relay_backlog(relay);
	const enum relay_state state = relay->state;

	if (!flush(relay) || has_stalled(relay)) {
		relay->callbacks->broken(relay->arg);
		return false;
	}
	if (relay->ended_here && relay_backlog(relay) == 0)
		shut(relay);
	if (relay_backlog(relay) < before)
		relay->callbacks->drained(relay->arg);
	return !relay->freed && relay->state == state;
}

static void
serve_reading(struct relay *relay)
{
	if (relay->state == RELAY_OPEN && relay->callbacks->readable(relay->arg))
		return;
	if (!relay->freed && relay->state <= RELAY_EOF && has_failed(relay))
		relay->callbacks->broken(relay->arg);
}

static void
serve(struct relay *relay, short what)
{
	switch (relay->state) {
	case RELAY_CONNECTING:
		break;
	case RELAY_OPEN:
	case RELAY_EOF:
		if (relay->more_to_drop) {
			relay->more_to_drop = false;
			what |= EV_READ;
		}
		if (serve_writing(relay) && (what & EV_READ))
			serve_reading(relay);
		break;
	case RELAY_DRAINING:
		drain(relay);
		break;
	case RELAY_LEAVING:
		check_leaving(relay);
		break;
	case RELAY_BROKEN:
		if (relay->finishing)
			be_done(relay, true);
		else
			relay->callbacks->broken(relay->arg);
		break;
	}
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct relay *relay = arg;

	(void)fd;
	relay->in_event = true;
	/* libevent takes an event out whose timer of no time has ended: the socket would not be heard any more. */
	if ((what & EV_TIMEOUT) && event_add(&relay->event, NULL) != 0)
		set_broken(relay, ENOMEM);
	serve(relay, what);
	relay->in_event = false;
	if (relay->freed)
		free(relay);
}
