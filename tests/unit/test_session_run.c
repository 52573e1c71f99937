/*
 * A client and a server that do things at random for a long time, over a connection that delivers bytes in random
 * pieces: each byte has to arrive at its place, credit has to be kept, and in the end nothing may be stuck.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define STEPS 15000
#define STREAMS_AT_ONCE 20
#define STREAMS_MAX 4000
#define QUEUE_MAX 100000 /* bytes under way in one direction, and waiting in one stream */
#define DRAIN_ROUNDS 100000

/* What one side knows of a stream besides its peer. */
struct half {
	uint64_t written; /* by the application */
	uint64_t heard;   /* by the application of the other side */
	size_t backlog;
	bool closed;
};

struct side {
	struct peer *peer;
	struct half halves[STREAMS_MAX]; /* by id */
	struct buffer queue;             /* what it has sent and the other has not heard */
	size_t queue_at;
	unsigned wakes_seen;
	bool pull_due;
};

struct world {
	struct rng rng;
	struct side client, server;
	struct wire down; /* reads what the client hears */
	uint32_t credit[STREAMS_MAX];
	uint32_t initial_credit;
	bool draining;
};

static struct world *world;

static struct side *
side_of(const struct peer *peer)
{
	return peer->client ? &world->client : &world->server;
}

static struct side *
other_side(const struct peer *peer)
{
	return peer->client ? &world->server : &world->client;
}

/* ---- data that can be checked wherever it is ---- */

static uint8_t
data_byte(const struct peer *from, uint32_t id, uint64_t at)
{
	const uint64_t mixed = (at + 1 + ((uint64_t)id << 32)) * 0x9e3779b97f4a7c15;

	return (uint8_t)((mixed >> 56) + (from->client ? 1 : 0));
}

static void
write_some(struct peer_stream *stream)
{
	struct half *const half = &side_of(stream->peer)->halves[stream->id];
	/* A datagram has to fit in each pull. */
	const size_t n = 1 + rng_below(&world->rng, (size_t)1 << rng_below(&world->rng, stream->udp ? 10 : 16));

	if (stream->outgoing.n > QUEUE_MAX)
		return;
	for (size_t i = 0; i < n; i++)
		buffer_put_byte(&stream->outgoing, data_byte(stream->peer, stream->id, half->written++));
	if (stream->udp)
		peer_end_datagram(stream, n);
	wisp_stream_ready(stream->stream);
}

static void
check_data(struct peer_stream *stream)
{
	struct side *const to = side_of(stream->peer);
	struct side *const from = other_side(stream->peer);
	struct half *const half = &from->halves[stream->id];
	bool right = true;

	for (size_t i = 0; i < stream->received.n; i++)
		right &= stream->received.p[i] == data_byte(from->peer, stream->id, half->heard++);
	assert_true(right);
	assert_true(half->heard <= half->written);
	if (!stream->peer->client) {
		to->halves[stream->id].backlog += stream->received.n;
		wisp_stream_set_backlog(stream->stream, to->halves[stream->id].backlog);
	}
	buffer_clear(&stream->received);
}

/* When the other side closed: what it had handed out before has arrived. */
static void
check_close(const struct peer_stream *stream)
{
	const struct side *const from = other_side(stream->peer);
	const struct peer_stream *const other = peer_stream(from->peer, stream->id);

	assert_non_null(other);
	assert_true(from->halves[stream->id].closed);
	assert_int_equal(from->halves[stream->id].heard,
		from->halves[stream->id].written - (other->outgoing.n - other->outgoing_at));
}

static void
on_event(struct peer_stream *stream, enum peer_event event)
{
	if (event == PEER_DATA)
		check_data(stream);
	else if (event == PEER_CLOSED)
		check_close(stream);
}

/* ---- credit, counted by what is on the wire ---- */

static void
count_up(void *arg, const struct wisp_packet *packet)
{
	(void)arg;
	assert_true(packet->stream_id < STREAMS_MAX);
	if (packet->type == WISP_CONNECT)
		world->credit[packet->stream_id] =
			packet->destination.type == WISP_TCP ? world->initial_credit : UINT32_MAX;
	if (packet->type != WISP_DATA)
		return;
	assert_between(packet->size, 1, WISP_DATA_MAX);
	assert_true(world->credit[packet->stream_id] > 0);
	if (world->credit[packet->stream_id] != UINT32_MAX)
		world->credit[packet->stream_id]--;
}

static void
count_down(void *arg, const struct wisp_packet *packet)
{
	(void)arg;
	if (packet->type != WISP_CONTINUE || packet->stream_id == WISP_CONNECTION)
		return;
	assert_true(world->credit[packet->stream_id] != UINT32_MAX); /* UDP has none */
	assert_true(packet->credit <= world->initial_credit); /* 0 in what confirms a stream whose buffer is full */
	world->credit[packet->stream_id] = packet->credit;
}

/* ---- the connection ---- */

/* Pull as an application would: only when it was told to, has reason to, or the deadline has come. */
static void
pull(struct side *side)
{
	struct peer *const peer = side->peer;
	const uint64_t deadline_ms = wisp_session_deadline_ms(peer->session);

	if (peer->wakes == side->wakes_seen && !side->pull_due && (deadline_ms == 0 || peer->now_ms < deadline_ms))
		return;
	if (side->queue.n - side->queue_at > QUEUE_MAX)
		return;
	side->wakes_seen = peer->wakes;
	peer_pull(peer, WISP_PULL_MIN + rng_below(&world->rng, (size_t)1 << rng_below(&world->rng, 18)));
	buffer_put(&side->queue, peer->sent.p, peer->sent.n);
	buffer_clear(&peer->wire.log);
	side->pull_due = wisp_session_pending(peer->session);
}

/* Let the other side hear some of what was sent. */
static void
deliver(struct side *from, struct side *to)
{
	const size_t waiting = from->queue.n - from->queue_at;
	size_t n = rng_below(&world->rng, ((size_t)1 << rng_below(&world->rng, 18)) + 1);

	if (n > waiting)
		n = waiting;
	if (n == 0)
		return;
	if (to->peer->client) {
		wire_take(&world->down, from->queue.p + from->queue_at, n);
		buffer_clear(&world->down.log);
	}
	assert_true(peer_hear(to->peer, from->queue.p + from->queue_at, n));
	from->queue_at += n;
	if (from->queue_at == from->queue.n) {
		buffer_clear(&from->queue);
		from->queue_at = 0;
	}
}

/* ---- what the applications do ---- */

static struct peer_stream *
random_stream(const struct peer *peer)
{
	struct peer_stream *stream, *chosen = NULL;
	size_t seen = 0;

	TAILQ_FOREACH (stream, &peer->streams, entry) {
		if (stream->stream != NULL && rng_below(&world->rng, ++seen) == 0)
			chosen = stream;
	}
	return chosen;
}

static void
open_some(struct peer *client)
{
	struct peer_stream *stream;

	if (wisp_session_version(client->session) == 0)
		return;
	if (wisp_session_stream_count(client->session) >= STREAMS_AT_ONCE)
		return;
	stream = peer_open(client, rng_chance(&world->rng, 20) ? WISP_UDP : WISP_TCP, "host");
	assert_true(stream->id < STREAMS_MAX);
	if (rng_chance(&world->rng, 30))
		stream->read_max = 1 + rng_below(&world->rng, 2000);
	if (rng_chance(&world->rng, 50))
		write_some(stream);
}

static void
close_some(struct side *side, struct peer_stream *stream)
{
	side->halves[stream->id].closed = true;
	peer_close(stream, WISP_REASON_VOLUNTARY);
}

/* Take some of the backlog of a stream of the server, all of it when all is to come to its end. */
static void
take_backlog(struct peer_stream *stream)
{
	size_t *const backlog = &world->server.halves[stream->id].backlog;
	const size_t some = 1 + rng_below(&world->rng, 200000);

	*backlog = world->draining || some > *backlog ? 0 : *backlog - some;
	wisp_stream_set_backlog(stream->stream, *backlog);
}

static void
step(void)
{
	struct side *const side = rng_chance(&world->rng, 50) ? &world->client : &world->server;
	struct side *const other = other_side(side->peer);
	struct peer_stream *const stream = random_stream(side->peer);
	const size_t dice = rng_below(&world->rng, 100);

	if (dice < 30)
		pull(side);
	else if (dice < 60)
		deliver(side, other);
	else if (dice < 64)
		world->client.peer->now_ms += rng_below(&world->rng, 8);
	else if (dice < 65)
		wisp_session_ping(side->peer->session);
	else if (dice < 72)
		open_some(world->client.peer);
	else if (stream == NULL)
		return;
	else if (dice < 74)
		close_some(side, stream);
	else if (dice < 85 && !side->peer->client)
		take_backlog(stream);
	else if (dice < 87)
		wisp_stream_ready(stream->stream);
	else
		write_some(stream);
}

/* ---- the end ---- */

static bool
is_drained(const struct side *side)
{
	const struct peer_stream *stream;

	if (side->queue.n > 0)
		return false;
	TAILQ_FOREACH (stream, &side->peer->streams, entry) {
		if (stream->stream != NULL && stream->outgoing.n > 0)
			return false;
	}
	return true;
}

/* No more is written and all backlogs are taken: after a while each byte has arrived. */
static void
drain(void)
{
	struct peer_stream *stream;
	int rounds = 0;

	world->draining = true;
	while (!is_drained(&world->client) || !is_drained(&world->server)) {
		assert_true(rounds++ < DRAIN_ROUNDS);
		pull(&world->client);
		pull(&world->server);
		deliver(&world->client, &world->server);
		deliver(&world->server, &world->client);
		world->client.peer->now_ms++;
		TAILQ_FOREACH (stream, &world->server.peer->streams, entry) {
			if (stream->stream != NULL)
				take_backlog(stream);
		}
	}
	TAILQ_FOREACH (stream, &world->client.peer->streams, entry) {
		const struct half *const up = &world->client.halves[stream->id];
		const struct half *const down = &world->server.halves[stream->id];

		if (stream->stream == NULL)
			continue;
		assert_int_equal(up->written, up->heard);
		assert_int_equal(down->written, down->heard);
	}
}

static void
run(unsigned seed, uint8_t version, uint32_t credit)
{
	world = calloc(1, sizeof *world);
	assert_non_null(world);
	world->rng = rng_seeded(seed);
	world->initial_credit = credit;
	world->client.peer = peer_new_client(WISP_VERSION_AUTO);
	world->server.peer = peer_new_server(version, credit, STREAMS_AT_ONCE * 4);
	world->client.peer->hook = on_event;
	world->client.peer->wire.packet = count_up;
	world->server.peer->hook = on_event;
	world->server.pull_due = true;
	wire_init(&world->down, false);
	world->down.packet = count_down;
	for (int i = 0; i < STEPS; i++)
		step();
	drain();
	assert_int_equal(wisp_session_version(world->client.peer->session), version);
	peer_free(world->client.peer);
	peer_free(world->server.peer);
	buffer_free(&world->client.queue);
	buffer_free(&world->server.queue);
	wire_free(&world->down);
	free(world);
}

static void
random_runs_keep_data_and_credit(void **state)
{
	static const uint32_t credits[] = {1, 2, 4, 7, 32, 128};

	(void)state;
	for (unsigned seed = 0; seed < 2 * COUNT(credits); seed++)
		run(seed, 1 + seed % 2, credits[seed / 2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_runs_keep_data_and_credit),
	};

	return cmocka_run_group_tests_name("session_run", tests, NULL, NULL);
}
