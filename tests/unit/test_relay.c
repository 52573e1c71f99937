/* A relay's whole life: what waits for a socket, what a socket does not take, and every way in which it ends. */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "relay.h"

#define BIG ((size_t)8 << 20)
#define ROUNDS 20000

struct rig {
	struct event_base *base;
	struct relay *relay;
	size_t total;
	int ours, theirs;
	unsigned readable, drained, broken, done;
	bool reads;             /* what `readable` says */
	bool discards;          /* `readable` does */
	bool frees;             /* it frees the relay in each callback */
	enum relay_state state; /* in the last callback */
	int error;
};

/* ---- the owner ---- */

static void
note(struct rig *rig, unsigned *count)
{
	(*count)++;
	rig->state = relay_state(rig->relay);
	rig->error = relay_error(rig->relay);
	if (!rig->frees)
		return;
	relay_free(rig->relay);
	rig->relay = NULL;
}

static bool
on_readable(void *arg)
{
	struct rig *rig = arg;

	note(rig, &rig->readable);
	if (rig->discards)
		relay_discard(rig->relay);
	return rig->reads;
}

static void
on_drained(void *arg)
{
	struct rig *rig = arg;

	note(rig, &rig->drained);
}

static void
on_broken(void *arg)
{
	struct rig *rig = arg;

	note(rig, &rig->broken);
}

static void
on_done(void *arg)
{
	struct rig *rig = arg;

	note(rig, &rig->done);
}

static const struct relay_callbacks callbacks = {on_readable, on_drained, on_broken, on_done};

/* ---- the rig ---- */

/* A TCP connection: of Unix sockets there is no reset. */
static void
connect_pair(struct rig *rig)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof address;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	rig->ours = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(rig->ours, (struct sockaddr *)&address, size), 0);
	rig->theirs = accept(listener, NULL, NULL);
	assert_true(rig->theirs >= 0);
	close(listener);
	evutil_make_socket_nonblocking(rig->ours);
	evutil_make_socket_nonblocking(rig->theirs);
}

static void
set_up(struct rig *rig)
{
	*rig = (struct rig){.base = event_base_new(), .reads = true};
	assert_non_null(rig->base);
	rig->relay = relay_new(&callbacks, rig, &rig->total);
	assert_non_null(rig->relay);
	assert_int_equal(relay_state(rig->relay), RELAY_CONNECTING);
	connect_pair(rig);
}

static void
set_up_open(struct rig *rig)
{
	set_up(rig);
	assert_true(relay_open(rig->relay, rig->base, rig->ours));
	assert_int_equal(relay_state(rig->relay), RELAY_OPEN);
}

static void
tear_down(struct rig *rig)
{
	relay_free(rig->relay);
	assert_int_equal(rig->total, 0);
	if (rig->theirs >= 0)
		close(rig->theirs);
	event_base_free(rig->base);
}

static void
turn(struct rig *rig)
{
	event_base_loop(rig->base, EVLOOP_NONBLOCK);
}

static void
run_until(struct rig *rig, const unsigned *count)
{
	while (*count == 0)
		event_base_loop(rig->base, EVLOOP_ONCE);
}

/* Read at the other end, with turns of the relay in between. Returns how much came before the end or an error. */
static size_t
hear_all(struct rig *rig, int *error)
{
	static char p[65536];
	size_t all = 0;
	ssize_t n;

	for (int round = 0; round < ROUNDS; round++) {
		turn(rig);
		n = recv(rig->theirs, p, sizeof p, 0);
		if (n > 0)
			all += (size_t)n;
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			*error = n == 0 ? 0 : errno;
			return all;
		}
	}
	fail_msg("neither an end nor an error came");
	return all;
}

/* More than the kernel takes: some of it waits in the relay. */
static void
write_big(struct rig *rig)
{
	static char p[BIG];

	assert_true(relay_write(rig->relay, p, sizeof p));
	assert_true(relay_backlog(rig->relay) > 0);
	assert_int_equal(relay_backlog(rig->relay), rig->total);
}

/* ---- the beginning ---- */

static void
what_is_written_while_it_connects_waits(void **state)
{
	struct rig rig;
	char p[8];

	(void)state;
	set_up(&rig);
	assert_true(relay_write(rig.relay, "abc", 3));
	assert_true(relay_write(rig.relay, "def", 3));
	assert_int_equal(rig.total, 6);
	assert_true(relay_open(rig.relay, rig.base, rig.ours));
	turn(&rig);
	assert_int_equal(recv(rig.theirs, p, sizeof p, 0), 6);
	assert_memory_equal(p, "abcdef", 6);
	assert_int_equal(relay_state(rig.relay), RELAY_OPEN);
	assert_int_equal(rig.total, 0);
	tear_down(&rig);
}

static void
the_end_waits_while_it_connects(void **state)
{
	struct rig rig;
	int error;

	(void)state;
	set_up(&rig);
	assert_true(relay_write(rig.relay, "abc", 3));
	relay_finish(rig.relay, 1000);
	assert_int_equal(relay_state(rig.relay), RELAY_CONNECTING);
	assert_int_equal(rig.done, 0);
	assert_true(relay_open(rig.relay, rig.base, rig.ours));
	assert_int_equal(rig.done, 0);
	assert_int_equal(hear_all(&rig, &error), 3);
	assert_int_equal(error, 0);
	close(rig.theirs);
	rig.theirs = -1;
	run_until(&rig, &rig.done);
	assert_int_equal(rig.done, 1);
	assert_int_equal(rig.broken + rig.readable, 0);
	tear_down(&rig);
}

static void
one_that_is_never_connected_forgets_what_waits(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig);
	write_big(&rig);
	relay_finish(rig.relay, 1000);
	close(rig.ours);
	tear_down(&rig);
}

/* ---- ends that are good ---- */

static void
half_closed_relay_goes_on_reading(void **state)
{
	struct rig rig;
	char p[8];
	int error;

	(void)state;
	set_up_open(&rig);
	write_big(&rig);
	relay_end_data(rig.relay);
	assert_false(relay_write(rig.relay, "x", 1));
	assert_int_equal(hear_all(&rig, &error), BIG);
	assert_int_equal(error, 0);
	assert_true(rig.drained > 0);
	assert_int_equal(relay_state(rig.relay), RELAY_OPEN);
	assert_int_equal(send(rig.theirs, "abc", 3, 0), 3);
	rig.readable = 0;
	run_until(&rig, &rig.readable);
	assert_int_equal(relay_read(rig.relay, p, sizeof p), 3);
	shutdown(rig.theirs, SHUT_WR);
	rig.readable = 0;
	run_until(&rig, &rig.readable);
	assert_int_equal(relay_read(rig.relay, p, sizeof p), 0);
	assert_int_equal(relay_state(rig.relay), RELAY_EOF);
	turn(&rig);
	assert_int_equal(rig.broken, 0);
	relay_finish(rig.relay, 1000);
	assert_int_equal(rig.done, 1);
	tear_down(&rig);
}

static void
half_close_waits_while_it_connects(void **state)
{
	struct rig rig;
	int error;

	(void)state;
	set_up(&rig);
	assert_true(relay_write(rig.relay, "abc", 3));
	relay_end_data(rig.relay);
	assert_true(relay_open(rig.relay, rig.base, rig.ours));
	assert_int_equal(hear_all(&rig, &error), 3);
	assert_int_equal(error, 0);
	assert_int_equal(relay_state(rig.relay), RELAY_OPEN);
	tear_down(&rig);
}

/* What the other side still says must not turn the end into a reset. */
static void
finished_relay_drops_what_still_comes(void **state)
{
	static char p[BIG / 8];
	struct rig rig;
	int error;

	(void)state;
	set_up_open(&rig);
	write_big(&rig);
	relay_finish(rig.relay, 1000);
	assert_int_equal(relay_state(rig.relay), RELAY_DRAINING);
	for (int i = 0; i < 100; i++) {
		turn(&rig);
		assert_true(send(rig.theirs, p, sizeof p, MSG_NOSIGNAL) > 0 || errno == EAGAIN);
	}
	assert_int_equal(hear_all(&rig, &error), BIG);
	assert_int_equal(error, 0);
	assert_int_equal(relay_state(rig.relay), RELAY_LEAVING);
	for (int i = 0; i < 100; i++) {
		turn(&rig);
		assert_true(send(rig.theirs, p, sizeof p, MSG_NOSIGNAL) > 0 || errno == EAGAIN);
	}
	assert_int_equal(rig.done, 0);
	shutdown(rig.theirs, SHUT_WR);
	run_until(&rig, &rig.done);
	assert_int_equal(rig.done, 1);
	assert_int_equal(rig.broken, 0);
	tear_down(&rig);
}

/* Read on only when what has been read was taken back. Returns how much came before the end or an error. */
static size_t
echo_all(struct rig *rig, int *error)
{
	static char p[65536];
	size_t all = 0, kept = 0;
	ssize_t n;

	for (int round = 0; round < ROUNDS; round++) {
		turn(rig);
		n = kept > 0 ? send(rig->theirs, p, kept, MSG_NOSIGNAL) : recv(rig->theirs, p, sizeof p, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			*error = n == 0 ? 0 : errno;
			return all;
		}
		if (n < 0)
			continue;
		all += kept > 0 ? 0 : (size_t)n;
		kept = kept > 0 ? kept - (size_t)n : (size_t)n;
	}
	fail_msg("neither an end nor an error came, but %zu bytes", all);
	return all;
}

/* One that answers before it reads on gets all of it: nobody else would take what it says. */
static void
finished_relay_drops_what_comes_while_something_waits(void **state)
{
	struct rig rig;
	int error = -1;

	(void)state;
	set_up_open(&rig);
	write_big(&rig);
	while (relay_available(rig.relay) == 0)
		send(rig.theirs, "abc", 3, 0); /* whose edge has been seen when the end comes */
	turn(&rig);
	relay_finish(rig.relay, 60000);
	assert_int_equal(echo_all(&rig, &error), BIG);
	assert_int_equal(error, 0);
	assert_int_equal(rig.total, 0);
	tear_down(&rig);
}

static void
one_that_has_heard_the_end_is_done_at_once(void **state)
{
	struct rig rig;
	char p[8];

	(void)state;
	set_up_open(&rig);
	shutdown(rig.theirs, SHUT_WR);
	run_until(&rig, &rig.readable);
	assert_int_equal(relay_read(rig.relay, p, sizeof p), 0);
	relay_finish(rig.relay, 1000);
	assert_int_equal(rig.done, 1);
	assert_int_equal(relay_socket(rig.relay), -1);
	tear_down(&rig);
}

static void
nobody_waits_for_ever_for_the_other_side_to_hang_up(void **state)
{
	struct rig rig;

	(void)state;
	set_up_open(&rig);
	relay_finish(rig.relay, 1000);
	assert_int_equal(relay_state(rig.relay), RELAY_LEAVING);
	run_until(&rig, &rig.done);
	tear_down(&rig);
}

/* ---- ends that are not ---- */

static void
failed_relay_resets_once_all_is_written(void **state)
{
	struct rig rig;
	int error;

	(void)state;
	set_up_open(&rig);
	write_big(&rig);
	relay_fail(rig.relay, 1000);
	assert_true(hear_all(&rig, &error) > BIG / 4); /* a reset overtakes what the kernel has yet to send */
	assert_int_equal(error, ECONNRESET);
	assert_int_equal(rig.done, 1);
	tear_down(&rig);
}

static void
aborted_relay_resets(void **state)
{
	struct rig rig;
	int error;

	(void)state;
	set_up_open(&rig);
	relay_abort(rig.relay);
	rig.relay = NULL;
	hear_all(&rig, &error);
	assert_int_equal(error, ECONNRESET);
	tear_down(&rig);
}

static void
socket_that_takes_nothing_is_given_up(void **state)
{
	struct rig rig;

	(void)state;
	set_up_open(&rig);
	relay_limit_stall(rig.relay, 50);
	write_big(&rig);
	run_until(&rig, &rig.broken);
	assert_int_equal(rig.state, RELAY_BROKEN);
	assert_int_equal(rig.error, ETIMEDOUT);
	tear_down(&rig);
	set_up_open(&rig);
	write_big(&rig);
	relay_finish(rig.relay, 50);
	run_until(&rig, &rig.done);
	assert_int_equal(rig.broken, 0);
	tear_down(&rig);
}

/* Though it says something all the time. */
static void
talking_socket_that_takes_nothing_is_given_up(void **state)
{
	struct rig rig;
	char p[65536];

	(void)state;
	set_up_open(&rig);
	relay_limit_stall(rig.relay, 50);
	write_big(&rig);
	while (rig.broken == 0) {
		assert_true(send(rig.theirs, "x", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN);
		turn(&rig);
		relay_read(rig.relay, p, sizeof p);
	}
	assert_int_equal(rig.error, ETIMEDOUT);
	tear_down(&rig);
}

static void
reset_is_noticed_though_nothing_is_read(void **state)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct rig rig;

	(void)state;
	set_up_open(&rig);
	rig.reads = false;
	turn(&rig);
	assert_int_equal(rig.broken, 0);
	setsockopt(rig.theirs, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(rig.theirs);
	rig.theirs = -1;
	run_until(&rig, &rig.broken);
	assert_int_equal(rig.error, ECONNRESET);
	tear_down(&rig);
}

static void
callbacks_may_free_the_relay(void **state)
{
	struct rig rig;
	int error;

	(void)state;
	set_up_open(&rig);
	rig.frees = true;
	rig.reads = false;
	send(rig.theirs, "abc", 3, 0);
	run_until(&rig, &rig.readable);
	tear_down(&rig);
	set_up_open(&rig);
	rig.frees = true;
	write_big(&rig);
	hear_all(&rig, &error);
	assert_int_equal(rig.drained, 1);
	tear_down(&rig);
	set_up_open(&rig);
	rig.frees = true;
	relay_fail(rig.relay, 1000);
	assert_int_equal(rig.done, 1);
	tear_down(&rig);
}

/* Sends more as long as the relay takes it, in batches between which the relay has read everything. */
static void
discarding_takes_turns_until_the_end(void **state)
{
	static char p[BIG / 8];
	struct rig rig;
	size_t sent = 0;
	int rounds = 0;

	(void)state;
	set_up_open(&rig);
	rig.discards = true;
	while (sent < 4 * BIG) {
		const ssize_t size = send(rig.theirs, p, sizeof p, MSG_NOSIGNAL);

		sent += size > 0 ? (size_t)size : 0;
		do {
			turn(&rig);
			assert_true(rounds++ < ROUNDS);
		} while (relay_available(rig.relay) > 0);
	}
	shutdown(rig.theirs, SHUT_WR);
	for (; relay_state(rig.relay) == RELAY_OPEN; turn(&rig))
		assert_true(rounds++ < ROUNDS);
	assert_int_equal(relay_state(rig.relay), RELAY_EOF);
	tear_down(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_while_it_connects_waits),
		cmocka_unit_test(the_end_waits_while_it_connects),
		cmocka_unit_test(one_that_is_never_connected_forgets_what_waits),
		cmocka_unit_test(half_closed_relay_goes_on_reading),
		cmocka_unit_test(half_close_waits_while_it_connects),
		cmocka_unit_test(finished_relay_drops_what_still_comes),
		cmocka_unit_test(finished_relay_drops_what_comes_while_something_waits),
		cmocka_unit_test(one_that_has_heard_the_end_is_done_at_once),
		cmocka_unit_test(nobody_waits_for_ever_for_the_other_side_to_hang_up),
		cmocka_unit_test(failed_relay_resets_once_all_is_written),
		cmocka_unit_test(aborted_relay_resets),
		cmocka_unit_test(socket_that_takes_nothing_is_given_up),
		cmocka_unit_test(talking_socket_that_takes_nothing_is_given_up),
		cmocka_unit_test(reset_is_noticed_though_nothing_is_read),
		cmocka_unit_test(callbacks_may_free_the_relay),
		cmocka_unit_test(discarding_takes_turns_until_the_end),
	};

	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
