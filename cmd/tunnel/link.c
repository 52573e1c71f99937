#include "link.h"

#include <string.h>

#include "clock.h"
#include "introduction.h"
#include "turn.h"

/* Reads in one turn, before others have theirs. Of tiny packets a few reads are a lot of work. */
#define READS_PER_TURN 8
#define TURN_MS 10

/* ---- bytes ---- */

/* Whether to read. A new connection's handshake brings programs nothing, and is read whatever waits for them. */
static bool
wants_to_read(const struct link *link)
{
	return link->connection.readable && !(link->paused && link->ready);
}

/* Read what there is, a turn's worth at the most. */
static void
receive(struct link *link)
{
	const uint64_t began_ms = clock_now_ms();

	for (int reads = 0; reads < READS_PER_TURN && wants_to_read(link); reads++) {
		if (connection_read(&link->connection))
			liveness_heard(&link->liveness);
		if (link->failure->kind != FAILURE_NONE)
			return;
		if (clock_now_ms() - began_ms >= TURN_MS)
			break;
	}
	if (wants_to_read(link))
		turn_again(&link->run_event);
}

static bool
on_received(void *arg, uint8_t *p, size_t n)
{
	struct link *link = arg;

	if (wisp_session_feed(link->session, p, n))
		return true;
	link->callbacks->refused(link->arg);
	return false;
}

static void
set_held_timer(struct link *link)
{
	const uint64_t deadline_ms = wisp_session_deadline_ms(link->session);
	const uint64_t now_ms = clock_now_ms();
	const struct timeval tv = clock_timeval(deadline_ms > now_ms ? deadline_ms - now_ms : 0);

	if (deadline_ms != 0 && !evtimer_pending(&link->held_timer, NULL))
		evtimer_add(&link->held_timer, &tv);
}

static void
send_pending(struct link *link)
{
	const uint64_t before_bytes = link->sent_bytes;
	const enum wire_result result = wire_send(&link->wire, link->session, &link->sent_bytes);

	link->blocked = result == WIRE_BLOCKED;
	if (link->sent_bytes > before_bytes)
		liveness_sent(&link->liveness);
	if (result == WIRE_MORE)
		turn_again(&link->run_event);
	else if (result == WIRE_BROKEN)
		failure_set(link->failure, FAILURE_PASSING, "the connection broke");
	set_held_timer(link);
}

void
link_work(struct link *link)
{
	if (link->session != NULL && link->failure->kind == FAILURE_NONE)
		receive(link);
	/* After an error, too: the session has a close frame to send. */
	if (link->session != NULL)
		send_pending(link);
}

/* ---- the connection's events, and our own ---- */

static void
on_event(void *arg)
{
	struct link *link = arg;

	link->callbacks->event(link->arg);
}

static void
on_advanced(void *arg, enum connection_state from)
{
	struct link *link = arg;

	link->callbacks->advanced(link->arg, from);
}

static void
on_link_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	on_event(arg);
}

void
link_wake(struct link *link)
{
	event_active(&link->run_event, EV_TIMEOUT, 0);
}

/* ---- the session ---- */

static void
on_ready(void *arg)
{
	struct link *link = arg;

	link->ready = true;
	liveness_begin(&link->liveness, link->connection.fd);
	link->callbacks->ready(link->arg);
}

static void
on_wake(void *arg)
{
	link_wake(arg);
}

static void
on_motd(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	introduction_log_motd(p, n);
}

static void
on_pong(void *arg)
{
	struct link *link = arg;

	liveness_pong(&link->liveness);
}

static const struct wisp_session_callbacks session_callbacks = {
	.ready = on_ready,
	.wake = on_wake,
	.motd = on_motd,
	.pong = on_pong,
};

void
link_open(struct link *link, const struct wisp_client_options *options)
{
	link->options = *options;
	link->session = wisp_session_new_client(&link->options, &session_callbacks, link);
	if (link->session == NULL) {
		failure_set(link->failure, FAILURE_PASSING, "out of memory");
		return;
	}
	wire_init(&link->wire, NULL, &link->connection.carrier);
	link->blocked = false;
}

void
link_leave(struct link *link)
{
	wisp_session_shutdown(link->session, WISP_WS_GOING_AWAY);
	send_pending(link);
}

/* ---- whether the server is there ---- */

static void
on_ping_due(void *arg)
{
	struct link *link = arg;

	wisp_session_ping(link->session);
}

static bool
is_listening(void *arg)
{
	const struct link *link = arg;

	return !link->paused && !link->connection.readable;
}

static void
on_server_gone(void *arg, const char *reason)
{
	struct link *link = arg;

	failure_set(link->failure, FAILURE_PASSING, "%s", reason);
	link->callbacks->event(link->arg);
}

static const struct liveness_callbacks liveness_callbacks = {
	.ping = on_ping_due,
	.listens = is_listening,
	.gone = on_server_gone,
};

void
link_pause(struct link *link)
{
	link->paused = true;
}

void
link_resume(struct link *link)
{
	if (!link->paused)
		return;
	link->paused = false;
	liveness_heard(&link->liveness); /* it was we who did not listen */
	if (link->session != NULL)
		link_wake(link);
}

/* ---- life ---- */

void
link_close(struct link *link)
{
	struct wisp_session *session = link->session;

	evtimer_del(&link->run_event);
	evtimer_del(&link->held_timer);
	liveness_end(&link->liveness);
	connection_close(&link->connection);
	link->session = NULL;
	link->ready = false;
	wisp_session_free(session);
}

bool
link_init(struct link *link, struct event_base *base, const struct tls_options *tls, uint64_t ping_interval_ms,
	const struct link_callbacks *callbacks, void *arg, struct failure *failure)
{
	static const struct connection_callbacks connection_callbacks = {
		.event = on_event,
		.received = on_received,
		.advanced = on_advanced,
	};

	memset(link, 0, sizeof *link);
	link->callbacks = callbacks;
	link->arg = arg;
	link->failure = failure;
	evtimer_assign(&link->run_event, base, on_link_timer, link);
	evtimer_assign(&link->held_timer, base, on_link_timer, link);
	liveness_init(&link->liveness, base, ping_interval_ms, &liveness_callbacks, link);
	return connection_init(&link->connection, base, tls, &connection_callbacks, link, failure);
}

void
link_free(struct link *link)
{
	link_close(link);
	connection_free(&link->connection);
}
