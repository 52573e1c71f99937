/* Addresses that race: in which order they are tried, which one wins, and that nothing of the others is left. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "dial.h"

#define TRIED_MAX 16

struct rig {
	struct event_base *base;
	struct dialer dialer;
	struct resolver_share share;
	struct dial *dial;
	size_t sockets, sockets_max;
	size_t most_sockets; /* that there were at once */
	in_port_t tried[TRIED_MAX];
	size_t tried_count;
	in_port_t refused;  /* by `allow` */
	in_port_t unwanted; /* by `accept` */
	bool done, takes;
	struct dial_result result;
};

/* ---- a resolver that knows what the test says ---- */

struct resolver_query {
	struct event *event;
	resolver_callback *callback;
	void *arg;
};

static struct addresses found;
static enum resolver_result looked_up;
static size_t query_count;
static struct resolver_share *charged_to;

void
resolver_cancel(struct resolver_query *query)
{
	event_free(query->event);
	free(query);
	query_count--;
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	const struct resolver_query query = *(struct resolver_query *)arg;

	(void)fd, (void)what;
	resolver_cancel(arg);
	query.callback(looked_up, &found, query.arg);
}

struct resolver_query *
resolver_lookup(struct resolver *resolver, struct resolver_share *share, const char *host, uint16_t port,
	resolver_callback *callback, void *arg)
{
	struct resolver_query *query = must_alloc(sizeof *query);

	(void)host, (void)port;
	charged_to = share;
	query->callback = callback;
	query->arg = arg;
	query->event = event_new((struct event_base *)resolver, -1, 0, on_answer, query);
	event_active(query->event, EV_TIMEOUT, 0);
	query_count++;
	return query;
}

void
resolver_charge(struct resolver_query *query, struct resolver_share *share)
{
	assert_non_null(query);
	charged_to = share;
}

/* ---- the owner ---- */

static in_port_t
port_of(const struct sockaddr *sa)
{
	return ((const struct sockaddr_in *)(const void *)sa)->sin_port;
}

static bool
on_allow(void *arg, const struct sockaddr *address)
{
	struct rig *rig = arg;

	assert_true(rig->tried_count < TRIED_MAX);
	rig->tried[rig->tried_count++] = port_of(address);
	if (rig->sockets > rig->most_sockets)
		rig->most_sockets = rig->sockets;
	return port_of(address) != rig->refused;
}

static bool
on_accept(void *arg, int fd)
{
	struct rig *rig = arg;
	struct sockaddr_in peer = {0};
	socklen_t size = sizeof peer;

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
	return peer.sin_port != rig->unwanted;
}

static bool
on_done(void *arg, const struct dial_result *result)
{
	struct rig *rig = arg;

	assert_false(rig->done);
	rig->done = true;
	rig->result = *result;
	rig->dial = NULL;
	return rig->takes;
}

static const struct dial_callbacks callbacks = {on_allow, on_accept, on_done};

/* ---- the rig ---- */

static void
set_up(struct rig *rig)
{
	*rig = (struct rig){.base = event_base_new(), .sockets = 1, .sockets_max = 100, .takes = true};
	rig->dialer = (struct dialer){rig->base, (struct resolver *)rig->base, &rig->sockets, &rig->sockets_max};
	found = (struct addresses){0};
	looked_up = RESOLVER_FOUND;
}

static void
start(struct rig *rig, int type)
{
	rig->dial = dial_start(&rig->dialer, &rig->share, "name.test", 1, type, &callbacks, rig);
	assert_non_null(rig->dial);
	assert_false(rig->done);
}

static void
run(struct rig *rig, int type)
{
	start(rig, type);
	while (!rig->done)
		event_base_loop(rig->base, EVLOOP_ONCE);
}

/* Nothing is left: no socket, no event, no look-up. */
static void
tear_down(struct rig *rig)
{
	assert_int_equal(rig->sockets, 1);
	assert_int_equal(query_count, 0);
	assert_int_equal(event_base_get_num_events(rig->base, EVENT_BASE_COUNT_ADDED), 0);
	if (rig->done && rig->result.fd >= 0 && rig->takes)
		close(rig->result.fd);
	event_base_free(rig->base);
}

/* A socket at an address of loopback, which is among the found ones from now on. */
static int
add_address(in_port_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof address;

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	addresses_add(&found, (struct sockaddr *)&address, size);
	*port = address.sin_port;
	return fd;
}

/* One that connects. */
static int
add_good(in_port_t *port)
{
	const int fd = add_address(port);

	assert_int_equal(listen(fd, 10), 0);
	return fd;
}

/* One that does not answer: its queue is full. */
struct dead {
	int fd, fillers[2];
};

static struct dead
add_dead(in_port_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct dead dead = {.fd = add_address(port)};

	address.sin_port = *port;
	assert_int_equal(listen(dead.fd, 0), 0);
	for (size_t i = 0; i < COUNT(dead.fillers); i++) {
		dead.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(dead.fillers[i], (struct sockaddr *)&address, sizeof address);
	}
	return dead;
}

static void
close_dead(const struct dead *dead)
{
	close(dead->fd);
	for (size_t i = 0; i < COUNT(dead->fillers); i++)
		close(dead->fillers[i]);
}

static in_port_t
winner(const struct rig *rig)
{
	struct sockaddr_in peer = {0};
	socklen_t size = sizeof peer;

	assert_true(rig->result.fd >= 0);
	assert_int_equal(getpeername(rig->result.fd, (struct sockaddr *)&peer, &size), 0);
	return peer.sin_port;
}

/* ---- tests ---- */

static void
first_address_that_connects_wins(void **state)
{
	in_port_t ports[2];
	struct rig rig;
	int first, second;

	(void)state;
	set_up(&rig);
	first = add_good(&ports[0]);
	second = add_good(&ports[1]);
	run(&rig, SOCK_STREAM);
	assert_int_equal(winner(&rig), ports[0]);
	assert_int_equal(rig.tried_count, 1);
	tear_down(&rig);
	close(first);
	close(second);
}

static void
failed_attempt_is_followed_at_once(void **state)
{
	in_port_t ports[3];
	struct rig rig;
	int first, second, third;

	(void)state;
	set_up(&rig);
	first = add_address(&ports[0]); /* nobody listens */
	second = add_address(&ports[1]);
	third = add_good(&ports[2]);
	run(&rig, SOCK_STREAM);
	assert_int_equal(winner(&rig), ports[2]);
	assert_int_equal(rig.tried_count, 3);
	assert_int_equal(rig.most_sockets, 1);
	tear_down(&rig);
	close(first);
	close(second);
	close(third);
}

static void
silent_address_is_overtaken(void **state)
{
	in_port_t ports[3];
	struct dead dead, too;
	struct rig rig;
	int good;

	(void)state;
	set_up(&rig);
	dead = add_dead(&ports[0]);
	too = add_dead(&ports[1]);
	good = add_good(&ports[2]);
	run(&rig, SOCK_STREAM);
	assert_int_equal(winner(&rig), ports[2]);
	assert_memory_equal(rig.tried, ports, sizeof ports);
	assert_int_equal(rig.most_sockets, 2); /* when the third was asked about */
	tear_down(&rig);
	close_dead(&dead);
	close_dead(&too);
	close(good);
}

/* Without a second socket, the first has to have had its time. */
static void
descriptors_are_a_budget(void **state)
{
	in_port_t ports[2];
	struct dead dead;
	struct rig rig;
	int good;

	(void)state;
	set_up(&rig);
	rig.sockets_max = 1;
	dead = add_dead(&ports[0]);
	good = add_good(&ports[1]);
	run(&rig, SOCK_STREAM);
	assert_int_equal(winner(&rig), ports[1]);
	assert_int_equal(rig.most_sockets, 1);
	tear_down(&rig);
	close_dead(&dead);
	close(good);
}

static void
refused_addresses_are_passed_over(void **state)
{
	in_port_t ports[3];
	struct rig rig;
	int first, second, third;

	(void)state;
	set_up(&rig);
	first = add_good(&ports[0]);
	second = add_good(&ports[1]);
	third = add_good(&ports[2]);
	rig.refused = ports[0];
	rig.unwanted = ports[1];
	run(&rig, SOCK_STREAM);
	assert_int_equal(winner(&rig), ports[2]);
	tear_down(&rig);
	close(first);
	close(second);
	close(third);
}

static void
loss_says_why(void **state)
{
	in_port_t ports[2];
	struct rig rig;
	int first, second;

	(void)state;
	set_up(&rig);
	first = add_good(&ports[0]);
	rig.refused = ports[0];
	run(&rig, SOCK_STREAM);
	assert_int_equal(rig.result.fd, -1);
	assert_int_equal(rig.result.error, EACCES);
	tear_down(&rig);
	set_up(&rig);
	close(first);
	first = add_good(&ports[0]);
	second = add_address(&ports[1]);
	rig.unwanted = ports[0];
	run(&rig, SOCK_STREAM);
	assert_int_equal(rig.result.fd, -1);
	assert_int_equal(rig.result.error, ECONNREFUSED);
	assert_int_equal(rig.result.lookup, RESOLVER_FOUND);
	tear_down(&rig);
	close(first);
	close(second);
	set_up(&rig);
	looked_up = RESOLVER_NO_NAME;
	run(&rig, SOCK_STREAM);
	assert_int_equal(rig.result.fd, -1);
	assert_int_equal(rig.result.lookup, RESOLVER_NO_NAME);
	tear_down(&rig);
}

static void
cancelled_dial_leaves_nothing(void **state)
{
	in_port_t ports[3];
	struct dead dead[3];
	struct rig rig;

	(void)state;
	set_up(&rig);
	for (size_t i = 0; i < COUNT(dead); i++)
		dead[i] = add_dead(&ports[i]);
	start(&rig, SOCK_STREAM); /* the name is being looked up */
	dial_cancel(rig.dial);
	tear_down(&rig);
	for (size_t i = 0; i < COUNT(dead); i++)
		close_dead(&dead[i]);
	set_up(&rig);
	for (size_t i = 0; i < COUNT(dead); i++)
		dead[i] = add_dead(&ports[i]);
	start(&rig, SOCK_STREAM);
	while (rig.tried_count < COUNT(dead))
		event_base_loop(rig.base, EVLOOP_ONCE);
	assert_int_equal(rig.sockets, COUNT(dead));
	dial_cancel(rig.dial);
	assert_false(rig.done);
	tear_down(&rig);
	for (size_t i = 0; i < COUNT(dead); i++)
		close_dead(&dead[i]);
}

static void
look_up_can_be_charged_to_somebody_else(void **state)
{
	struct resolver_share other = {0};
	in_port_t port;
	struct rig rig;
	int good;

	(void)state;
	set_up(&rig);
	good = add_good(&port);
	start(&rig, SOCK_STREAM);
	assert_ptr_equal(charged_to, &rig.share);
	dial_charge(rig.dial, &other);
	assert_ptr_equal(charged_to, &other);
	while (!rig.done)
		event_base_loop(rig.base, EVLOOP_ONCE);
	assert_int_equal(winner(&rig), port);
	tear_down(&rig);
	close(good);
}

static void
socket_that_is_not_taken_is_closed(void **state)
{
	in_port_t port;
	struct rig rig;
	int good;

	(void)state;
	set_up(&rig);
	rig.takes = false;
	good = add_good(&port);
	run(&rig, SOCK_STREAM);
	assert_true(rig.result.fd >= 0);
	assert_int_equal(fcntl(rig.result.fd, F_GETFD), -1);
	tear_down(&rig);
	close(good);
}

static void
datagrams_need_a_way_alone(void **state)
{
	in_port_t port;
	struct rig rig;
	int nobody;

	(void)state;
	set_up(&rig);
	nobody = add_address(&port);
	run(&rig, SOCK_DGRAM);
	assert_int_equal(winner(&rig), port);
	tear_down(&rig);
	close(nobody);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_address_that_connects_wins),
		cmocka_unit_test(failed_attempt_is_followed_at_once),
		cmocka_unit_test(silent_address_is_overtaken),
		cmocka_unit_test(descriptors_are_a_budget),
		cmocka_unit_test(refused_addresses_are_passed_over),
		cmocka_unit_test(loss_says_why),
		cmocka_unit_test(cancelled_dial_leaves_nothing),
		cmocka_unit_test(look_up_can_be_charged_to_somebody_else),
		cmocka_unit_test(socket_that_is_not_taken_is_closed),
		cmocka_unit_test(datagrams_need_a_way_alone),
	};

	return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
