#include "dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <sys/socket.h>

#include "address.h"
#include "clock.h"
#include "log.h"
#include "timer.h"

#define LOOKUP_MS 10000
/* All addresses together. */
#define CONNECT_MS 10000
/* Between the beginnings of two attempts (RFC 8305 section 5). */
#define STAGGER_MS 250
/*
 * An unanswered attempt makes room for another address after this time, in which TCP can recover from two lost packets.
 */
#define ATTEMPT_MS 3200

struct attempt {
	struct event event;
	struct dial *dial;
	uint64_t began_ms;
	int fd; /* -1 when there is none */
};

struct dial {
	struct dialer *dialer;
	const struct dial_callbacks *callbacks;
	void *arg;
	struct resolver_query *query; /* until the name has been looked up */
	struct address *addresses;
	size_t count;
	size_t next; /* the next to be tried */
	struct attempt attempts[DIAL_SOCKETS_MAX];
	size_t attempt_count;
	struct event timer; /* for the look-up, then for the next attempt or the end of all */
	uint64_t deadline_ms;
	int type;
	int error; /* of the attempt that says most about why */
	char host[];
};

static void on_attempt(evutil_socket_t fd, short what, void *arg);

static bool
set_timer(struct dial *dial, uint64_t ms)
{
	return timer_set(&dial->timer, ms);
}

/* ---- the end ---- */

/* Forget an attempt, and close its socket unless it is somebody else's now. */
static void
drop_attempt(struct attempt *attempt, bool closes)
{
	struct dial *dial = attempt->dial;

	if (attempt->fd < 0)
		return;
	event_del(&attempt->event);
	if (closes)
		close(attempt->fd);
	attempt->fd = -1;
	if (--dial->attempt_count > 0)
		(*dial->dialer->sockets)--; /* the owner counts the last one */
}

static void
dial_free(struct dial *dial)
{
	if (dial->query != NULL)
		resolver_cancel(dial->query);
	for (size_t i = 0; i < DIAL_SOCKETS_MAX; i++)
		drop_attempt(&dial->attempts[i], true);
	event_del(&dial->timer);
	free(dial->addresses);
	free(dial);
}

void
dial_cancel(struct dial *dial)
{
	if (dial != NULL)
		dial_free(dial);
}

static void
lose(struct dial *dial, enum resolver_result lookup)
{
	const struct dial_result result = {.fd = -1, .error = dial->error, .lookup = lookup};

	dial->callbacks->done(dial->arg, &result);
	dial_free(dial);
}

/* A socket has won. Close the others. The new owner already watches this one when the dial releases it. */
static void
win(struct attempt *winner)
{
	struct dial *dial = winner->dial;
	const struct dial_result result = {.fd = winner->fd};

	for (struct attempt *attempt = dial->attempts; attempt < dial->attempts + DIAL_SOCKETS_MAX; attempt++)
		if (attempt != winner)
			drop_attempt(attempt, true);
	drop_attempt(winner, !dial->callbacks->done(dial->arg, &result));
	dial_free(dial);
}

/* ---- attempts ---- */

/* "Not allowed" and "no route" say less than an answer from another address. */
static bool
is_telling(int error)
{
	switch (error) {
	case 0:
	case EACCES:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case ENETUNREACH:
		return false;
	default:
		return true;
	}
}

static void
note_error(struct dial *dial, int error)
{
	if (!is_telling(dial->error))
		dial->error = error;
}

static struct attempt *
oldest_attempt(struct dial *dial)
{
	struct attempt *oldest = NULL;

	for (size_t i = 0; i < DIAL_SOCKETS_MAX; i++) {
		struct attempt *attempt = &dial->attempts[i];

		if (attempt->fd >= 0 && (oldest == NULL || attempt->began_ms < oldest->began_ms))
			oldest = attempt;
	}
	return oldest;
}

/* Whether one more socket may be opened now. An attempt that has had its time is closed to make room. */
static bool
has_room(struct dial *dial)
{
	const struct dialer *dialer = dial->dialer;
	struct attempt *oldest;

	if (dial->attempt_count == 0 ||
		(dial->attempt_count < DIAL_SOCKETS_MAX && *dialer->sockets < *dialer->sockets_max))
		return true;
	oldest = oldest_attempt(dial);
	if (oldest == NULL || clock_now_ms() - oldest->began_ms < ATTEMPT_MS)
		return false;
	note_error(dial, ETIMEDOUT);
	drop_attempt(oldest, true);
	return true;
}

/* Log the attempt, unless the owner named a single address and knows it. */
static void
log_attempt(const struct dial *dial, const struct sockaddr *sa)
{
	char text[ADDRESS_TEXT_SIZE];

	if (dial->count == 1 || log_level() < LOG_LEVEL_DEBUG)
		return;
	address_format(sa, text);
	log_debug("%s: trying %s", dial->host, text);
}

/* Open a socket to connect with. Returns NULL, with errno, when that fails. */
static struct attempt *
open_attempt(struct dial *dial, int family)
{
	const int fd = socket(family, dial->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct attempt *attempt = dial->attempts;

	if (fd < 0)
		return NULL;
	while (attempt->fd >= 0)
		attempt++;
	attempt->fd = fd;
	attempt->began_ms = clock_now_ms();
	event_assign(
		&attempt->event, dial->dialer->base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_attempt, attempt);
	if (dial->attempt_count++ > 0)
		(*dial->dialer->sockets)++;
	return attempt;
}

/* Begin to connect to an address. Returns connect()'s errno: 0 when connected already, EINPROGRESS when pending. */
static int
begin(struct dial *dial, const struct address *address, struct attempt **attempt)
{
	const struct sockaddr *const sa = (const struct sockaddr *)&address->storage;
	int error = 0;

	if (!dial->callbacks->allow(dial->arg, sa))
		return EACCES;
	log_attempt(dial, sa);
	*attempt = open_attempt(dial, sa->sa_family);
	if (*attempt == NULL)
		return errno;
	if (connect((*attempt)->fd, sa, address->size) != 0)
		error = errno;
	if (error == EINPROGRESS && event_add(&(*attempt)->event, NULL) != 0)
		error = ENOMEM;
	if (error != 0 && error != EINPROGRESS)
		drop_attempt(*attempt, true);
	return error;
}

/* A socket is connected. Returns whether it has won: the dial is over then. */
static bool
try_to_win(struct attempt *attempt)
{
	struct dial *dial = attempt->dial;

	if (dial->callbacks->accept(dial->arg, attempt->fd)) {
		win(attempt);
		return true;
	}
	note_error(dial, EACCES);
	drop_attempt(attempt, true);
	return false;
}

/* Begin with the next addresses, until an attempt is under way. The dial may be over when it returns. */
static void
try_addresses(struct dial *dial, uint64_t left_ms)
{
	struct attempt *attempt = NULL;
	int error = 0;

	while (error != EINPROGRESS && dial->next < dial->count && has_room(dial)) {
		error = begin(dial, &dial->addresses[dial->next++], &attempt);
		if (error == 0 && attempt != NULL && try_to_win(attempt))
			return;
		if (error != 0 && error != EINPROGRESS)
			note_error(dial, error);
	}
	if (dial->attempt_count == 0)
		lose(dial, RESOLVER_FOUND);
	else
		set_timer(dial, dial->next < dial->count && left_ms > STAGGER_MS ? STAGGER_MS : left_ms);
}

static void
go_on(struct dial *dial)
{
	const uint64_t now_ms = clock_now_ms();

	if (now_ms < dial->deadline_ms) {
		try_addresses(dial, dial->deadline_ms - now_ms);
		return;
	}
	note_error(dial, ETIMEDOUT);
	lose(dial, RESOLVER_FOUND);
}

static void
on_attempt(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *attempt = arg;
	struct dial *dial = attempt->dial;
	int error = 0;
	socklen_t size = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0) {
		note_error(dial, error);
		drop_attempt(attempt, true);
		go_on(dial);
	} else if ((what & EV_WRITE) && !try_to_win(attempt)) {
		go_on(dial);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;

	(void)fd, (void)what;
	if (dial->query == NULL) {
		go_on(dial);
		return;
	}
	dial->error = EHOSTUNREACH;
	lose(dial, RESOLVER_NO_ANSWER);
}

/* ---- the name ---- */

static void
on_found(enum resolver_result result, const struct addresses *found, void *arg)
{
	struct dial *dial = arg;

	dial->query = NULL;
	if (result == RESOLVER_FOUND) {
		dial->addresses = malloc(found->count * sizeof *dial->addresses);
		if (dial->addresses == NULL)
			result = RESOLVER_NO_MEMORY;
	}
	if (result != RESOLVER_FOUND) {
		dial->error = result == RESOLVER_NO_MEMORY ? ENOMEM : EHOSTUNREACH;
		lose(dial, result);
		return;
	}
	dial->count = found->count;
	memcpy(dial->addresses, found->items, found->count * sizeof *dial->addresses);
	dial->deadline_ms = clock_now_ms() + CONNECT_MS;
	go_on(dial);
}

void
dial_charge(struct dial *dial, struct resolver_share *share)
{
	if (dial->query != NULL)
		resolver_charge(dial->query, share);
}

struct dial *
dial_start(struct dialer *dialer, struct resolver_share *share, const char *host, uint16_t port, int type,
	const struct dial_callbacks *callbacks, void *arg)
{
	const size_t host_size = strlen(host) + 1;
	struct dial *dial = malloc(sizeof *dial + host_size); /* not calloc(), which is far slower in glibc */

	if (dial == NULL)
		return NULL;
	*dial = (struct dial){.dialer = dialer, .callbacks = callbacks, .arg = arg, .type = type};
	memcpy(dial->host, host, host_size);
	for (size_t i = 0; i < DIAL_SOCKETS_MAX; i++) {
		dial->attempts[i].dial = dial;
		dial->attempts[i].fd = -1;
	}
	evtimer_assign(&dial->timer, dialer->base, on_timer, dial);
	dial->query = resolver_lookup(dialer->resolver, share, host, port, on_found, dial);
	if (dial->query != NULL && set_timer(dial, LOOKUP_MS))
		return dial;
	dial_free(dial);
	return NULL;
}
