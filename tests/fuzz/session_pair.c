/*
 * Fuzz target: a client and a server that talk to each other, whose applications do what the input says, over a
 * connection that delivers as it says: each byte has to arrive at its place, datagrams whole, credit has to be kept,
 * and in the end nothing may be stuck and no stream be left.
 */
#include <stdlib.h>
#include <string.h>

#include <wisp/session.h>

#include "fuzz.h"
#include "ledger.h"
#include "../unit/wire.h"

#define STREAMS_MAX 64
#define QUEUE_MAX 100000 /* bytes under way in one direction, and waiting in one stream */
#define WRITTEN_MAX (128 << 10)
#define ROUNDS_MAX 10000

/* One side's half of a stream: what its application sends, and how much of it has been heard. */
struct half {
	struct world *world;
	struct side *side;
	struct wisp_stream *stream; /* NULL when it is not open here */
	uint32_t id;
	bool udp;
	bool closed; /* by this side's application, with this reason */
	uint8_t reason;
	bool confirmed;
	bool ended; /* its data, by this side's application, which has read all that was written */
	bool heard_end;
	uint64_t written, read, heard; /* bytes; for UDP datagrams */
	struct buffer sizes;           /* of the datagrams, a size_t each */
	size_t backlog;
};

struct side {
	struct wisp_session *session;
	struct half halves[STREAMS_MAX]; /* by id */
	struct buffer queue;             /* what it has sent and the other has not heard */
	size_t queue_at;
	bool woken;
	unsigned pings, pongs;
	struct ledger ledger;
	struct wire sends, hears;
};

struct world {
	struct input input;
	struct wisp_client_options client_options;
	struct wisp_server_options server_options;
	struct side client, server;
	uint64_t now_ms;
	uint32_t opened; /* streams */
	size_t written;
	bool draining;
};

static struct side *
other_side(struct world *world, const struct side *side)
{
	return side == &world->client ? &world->server : &world->client;
}

static struct half *
other_half(const struct half *half)
{
	return &other_side(half->world, half->side)->halves[half->id];
}

/* ---- data that can be checked wherever it is ---- */

static uint8_t
data_byte(const struct half *from, uint64_t at)
{
	const uint64_t mixed = (at + 1 + ((uint64_t)from->id << 32)) * 0x9e3779b97f4a7c15;

	return (uint8_t)((mixed >> 56) + (from->side == &from->world->client ? 1 : 0));
}

static void
fill(const struct half *from, uint64_t at, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = data_byte(from, at + i);
}

static bool
is_data(const struct half *from, uint64_t at, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != data_byte(from, at + i))
			return false;
	return true;
}

/* Where the bytes of a datagram begin. */
static uint64_t
datagram_at(uint64_t number)
{
	return number * 100003;
}

static size_t
datagram_size(const struct half *half, uint64_t number)
{
	size_t size;

	memcpy(&size, half->sizes.p + number * sizeof size, sizeof size);
	return size;
}

/* ---- callbacks of a stream ---- */

static const struct wisp_stream_callbacks stream_callbacks;

static struct half *
live_half(void *arg)
{
	struct half *const half = arg;

	must(half->stream != NULL && !half->closed);
	return half;
}

/* Datagrams may be lost, but not change, nor overtake one another. */
static void
find_datagram(struct half *from, const uint8_t *p, size_t n)
{
	while (from->heard < from->read) {
		const uint64_t number = from->heard++;

		if (datagram_size(from, number) == n && is_data(from, datagram_at(number), p, n))
			return;
	}
	must(false); /* it was never sent */
}

static void
set_backlog(struct half *half, size_t bytes)
{
	half->backlog = bytes;
	if (half->side == &half->world->server)
		wisp_stream_set_backlog(half->stream, bytes);
}

static void
on_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct half *const half = live_half(arg), *const from = other_half(half);

	must(!half->heard_end);
	if (half->udp) {
		must(last);
		find_datagram(from, p, n);
		return;
	}
	must(n <= from->read - from->heard && is_data(from, from->heard, p, n));
	from->heard += n;
	set_backlog(half, half->backlog + n);
}

/* Both directions have ended: the server's session closes the stream, as it tells its application and the client's. */
static bool
is_ended(const struct half *half, uint8_t reason)
{
	return half->ended && other_half(half)->ended && reason == WISP_REASON_VOLUNTARY;
}

/* The other side's data has ended: all of it has arrived. */
static void
on_ended(void *arg)
{
	struct half *const half = live_half(arg), *const from = other_half(half);

	must(from->ended && !half->heard_end && from->heard == from->written);
	half->heard_end = true;
}

/* All that the other side handed out before it closed has arrived. */
static void
on_closed(void *arg, uint8_t reason)
{
	struct half *const half = live_half(arg), *const from = other_half(half);

	half->stream = NULL;
	if (from->world == NULL) { /* a server that speaks v1 has no way to say that it has no UDP */
		must(half->udp && reason == WISP_REASON_BLOCKED);
		return;
	}
	must((from->closed && from->reason == reason) || is_ended(half, reason));
	must(half->udp || from->heard == from->read);
}

static size_t
read_datagram(struct half *half, uint8_t *p, size_t n)
{
	size_t size;

	if (half->read == half->written)
		return 0;
	size = datagram_size(half, half->read);
	fill(half, datagram_at(half->read++), p, size < n ? size : n);
	if (size == 0)
		return WISP_EMPTY_DATAGRAM;
	return size < n ? size : n;
}

static size_t
on_read(void *arg, uint8_t *p, size_t n)
{
	struct half *const half = live_half(arg);
	const size_t limit = half->world->draining ? SIZE_MAX : (size_t)1 << input_byte(&half->world->input) % 20;

	if (half->udp)
		return read_datagram(half, p, n);
	must(!half->ended);
	if (n > half->written - half->read)
		n = (size_t)(half->written - half->read);
	if (n > limit)
		n = limit;
	fill(half, half->read, p, n);
	half->read += n;
	return n;
}

static size_t
on_available(void *arg)
{
	const struct half *const half = live_half(arg);

	if (half->read == half->written)
		return 0;
	return half->udp ? datagram_size(half, half->read) : (size_t)(half->written - half->read);
}

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_data,
	.closed = on_closed,
	.read = on_read,
	.available = on_available,
	.ended = on_ended,
};

/* ---- callbacks of a session ---- */

static struct half *
begin_half(struct world *world, struct side *side, uint32_t id, bool udp)
{
	struct half *const half = &side->halves[id];

	must(id < STREAMS_MAX && half->world == NULL);
	half->world = world;
	half->side = side;
	half->id = id;
	half->udp = udp;
	return half;
}

static void
on_open(void *arg, struct wisp_stream *stream, const struct wisp_destination *destination)
{
	struct world *const world = arg;
	const uint32_t id = wisp_stream_id(stream);
	struct half *const half = begin_half(world, &world->server, id, destination->type == WISP_UDP);

	must(world->client.halves[id].udp == half->udp && destination->port == id);
	must(destination->host_size == id && destination->host[0] == 'h' && destination->host[id - 1] == 'h');
	half->stream = stream;
	wisp_stream_accept(stream, &stream_callbacks, half);
}

static void
on_client_ready(void *arg)
{
	struct world *const world = arg;

	world->client.ledger.initial_credit = world->server_options.credit;
}

static void
on_server_ready(void *arg)
{
	(void)arg;
}

static void
on_client_wake(void *arg)
{
	struct world *const world = arg;

	world->client.woken = true;
}

static void
on_server_wake(void *arg)
{
	struct world *const world = arg;

	world->server.woken = true;
}

static void
on_client_pong(void *arg)
{
	struct world *const world = arg;

	must(++world->client.pongs <= world->client.pings);
}

static void
on_server_pong(void *arg)
{
	struct world *const world = arg;

	must(++world->server.pongs <= world->server.pings);
}

static const struct wisp_session_callbacks client_callbacks = {
	.ready = on_client_ready,
	.wake = on_client_wake,
	.pong = on_client_pong,
};

static const struct wisp_session_callbacks server_callbacks = {
	.ready = on_server_ready,
	.wake = on_server_wake,
	.pong = on_server_pong,
	.open = on_open,
};

/* ---- the connection ---- */

static void
note_sent(void *arg, const struct wisp_packet *packet)
{
	const struct half *half;
	struct side *const side = arg;

	side->ledger.end_of_data = wisp_session_handshake(side->session)->end_of_data;
	ledger_send(&side->ledger, packet);
	if (packet->type != WISP_CONTINUE || packet->stream_id == WISP_CONNECTION)
		return;
	half = &side->halves[packet->stream_id];
	must(half->confirmed || !wisp_session_handshake(side->session)->confirmation);
	ledger_grant(&side->ledger, packet->credit, half->backlog);
}

static void
note_heard(void *arg, const struct wisp_packet *packet)
{
	struct side *const side = arg;

	ledger_hear(&side->ledger, packet);
}

/* Pull as an application would: only when it was told to, has reason to, or the deadline has come. */
static void
pull(struct world *world, struct side *side, size_t n, size_t goal)
{
	const uint64_t deadline_ms = wisp_session_deadline_ms(side->session);
	uint8_t *p;
	size_t got;

	if (!side->woken && (deadline_ms == 0 || world->now_ms < deadline_ms))
		return;
	if (side->queue.n - side->queue_at > QUEUE_MAX)
		return;
	p = malloc(n);
	must(p != NULL);
	side->woken = false;
	got = wisp_session_pull(side->session, p, n, goal, world->now_ms);
	side->woken = wisp_session_pending(side->session);
	must(wisp_session_deadline_ms(side->session) == 0 || wisp_session_deadline_ms(side->session) > world->now_ms);
	buffer_put(&side->queue, p, got);
	wire_take(&side->sends, p, got);
	must(!side->sends.failed);
	buffer_clear(&side->sends.log);
	free(p);
}

/* Let the other side hear up to n bytes of what was sent. */
static void
deliver(struct world *world, struct side *from, size_t n)
{
	struct side *const to = other_side(world, from);
	uint8_t *copy;

	if (n > from->queue.n - from->queue_at)
		n = from->queue.n - from->queue_at;
	if (n == 0 || wisp_session_error(to->session) != NULL)
		return;
	copy = exact_copy(from->queue.p + from->queue_at, n);
	wire_take(&to->hears, copy, n);
	buffer_clear(&to->hears.log);
	wisp_session_feed(to->session, copy, n);
	free(copy);
	from->queue_at += n;
	if (from->queue_at < from->queue.n)
		return;
	buffer_clear(&from->queue);
	from->queue_at = 0;
}

/* ---- what the applications do ---- */

static void
open_stream(struct world *world)
{
	char host[STREAMS_MAX];
	const bool udp = input_byte(&world->input) % 4 == 0;
	const uint32_t id = world->opened + 1;
	const struct wisp_destination destination = {udp ? WISP_UDP : WISP_TCP, (uint16_t)id, host, id};
	struct wisp_stream *stream;
	struct half *half;

	memset(host, 'h', sizeof host);
	if (id == STREAMS_MAX || wisp_session_version(world->client.session) == 0)
		return;
	half = begin_half(world, &world->client, id, udp);
	stream = wisp_stream_open(world->client.session, &destination, &stream_callbacks, half);
	if (stream == NULL) {
		must(udp && !wisp_session_handshake(world->client.session)->udp);
		half->world = NULL;
		return;
	}
	must(wisp_stream_id(stream) == id);
	half->stream = stream;
	world->opened = id;
	ledger_open(&world->client.ledger, id, udp);
}

static void
write_some(struct half *half)
{
	struct world *const world = half->world;
	const size_t mantissa = input_byte(&world->input);
	const size_t n = mantissa << input_byte(&world->input) % 9;

	if (world->written + n > WRITTEN_MAX || half->written - half->read > QUEUE_MAX || half->ended)
		return;
	world->written += n;
	half->written += half->udp ? 1 : n;
	if (half->udp)
		buffer_put(&half->sizes, &n, sizeof n);
	wisp_stream_ready(half->stream);
}

static void
close_stream(struct half *half, uint8_t reason)
{
	struct wisp_stream *const stream = half->stream;

	half->stream = NULL;
	half->closed = true;
	half->reason = reason;
	ledger_close(&half->side->ledger, half->id);
	wisp_stream_close(stream, reason);
}

/* All that was written has been read, and no more will be. */
static void
end_data(struct half *half)
{
	if (half->read == half->written)
		half->ended |= wisp_stream_end(half->stream);
}

static void
confirm(struct half *half)
{
	if (half->side == &half->world->server && !half->confirmed)
		wisp_stream_confirm(half->stream);
	half->confirmed = true;
}

static void
act(struct world *world, struct side *side, unsigned what)
{
	const unsigned which = input_byte(&world->input);
	struct half *const half = world->opened > 0 ? &side->halves[1 + which % world->opened] : NULL;

	if (half == NULL || half->stream == NULL)
		return;
	switch (what) {
	case 0:
		close_stream(half, (uint8_t)input_byte(&world->input));
		break;
	case 1:
		confirm(half);
		break;
	case 2:
		wisp_stream_ready(half->stream);
		break;
	case 3:
		set_backlog(half, half->backlog / 256 * input_byte(&world->input));
		break;
	case 4:
		end_data(half);
		break;
	default:
		write_some(half);
		break;
	}
}

static void
step(struct world *world)
{
	static const size_t rooms[] = {1024, 1500, 5000, 9300, 20000, 65540, WISP_PULL_ROOM, 200000};
	static const size_t pieces[] = {1, 2, 3, 9, 100, 1000, 20000, SIZE_MAX};
	const unsigned operation = input_byte(&world->input), argument = input_byte(&world->input);
	struct side *const side = operation & 0x80 ? &world->client : &world->server;
	const size_t room = rooms[argument % COUNT(rooms)];

	switch (operation % 16) {
	case 0:
	case 1:
		pull(world, side, room, argument & 0x80 ? room - room / 3 : room);
		break;
	case 2:
	case 3:
		deliver(world, side, pieces[argument % COUNT(pieces)]);
		break;
	case 4:
		open_stream(world);
		break;
	case 5:
		world->now_ms += argument;
		break;
	case 6:
		side->pings++;
		wisp_session_ping(side->session);
		break;
	default:
		act(world, side, operation % 16 - 7);
		break;
	}
}

/* ---- life ---- */

static void
begin_side(struct side *side, bool client, uint32_t credit)
{
	must(side->session != NULL);
	side->woken = true;
	side->ledger.client = client;
	side->ledger.initial_credit = credit;
	wire_init(&side->sends, client);
	wire_init(&side->hears, !client);
	side->sends.packet = note_sent;
	side->hears.packet = note_heard;
	side->sends.arg = side->hears.arg = side;
}

static void
begin(struct world *world)
{
	const unsigned kind = input_byte(&world->input);

	world->now_ms = 1;
	world->client_options =
		(struct wisp_client_options){.udp = kind & 1, .confirm = kind & 2, .end_of_data = kind & 16};
	world->server_options = (struct wisp_server_options){
		.udp = kind & 4, .end_of_data = kind & 32, .credit = 1 + input_byte(&world->input)};
	world->client.session = wisp_session_new_client(&world->client_options, &client_callbacks, world);
	world->server.session = wisp_session_new_server(
		&world->server_options, kind & 8 ? 1 : 2, STREAMS_MAX, &server_callbacks, world);
	begin_side(&world->client, true, world->server_options.credit);
	begin_side(&world->server, false, world->server_options.credit);
}

/* Everything is taken and confirmed that the server has. */
static void
settle_streams(struct world *world)
{
	for (size_t id = 1; id < STREAMS_MAX; id++) {
		struct half *const half = &world->server.halves[id];

		if (half->stream == NULL)
			continue;
		confirm(half);
		set_backlog(half, 0);
	}
}

static bool
is_quiet(const struct side *side)
{
	return side->queue.n == 0 && !side->woken && wisp_session_deadline_ms(side->session) == 0;
}

/* Go on until neither has anything to say. */
static void
drain(struct world *world)
{
	int rounds = 0;

	world->draining = true;
	do {
		must(rounds++ < ROUNDS_MAX);
		pull(world, &world->client, WISP_PULL_ROOM, WISP_PULL_ROOM);
		pull(world, &world->server, WISP_PULL_ROOM, WISP_PULL_ROOM);
		deliver(world, &world->client, SIZE_MAX);
		deliver(world, &world->server, SIZE_MAX);
		settle_streams(world);
		world->now_ms++;
	} while (!is_quiet(&world->client) || !is_quiet(&world->server));
	must(wisp_session_error(world->client.session) == NULL);
	must(wisp_session_error(world->server.session) == NULL);
}

/* What was written to a stream that is still open has arrived. */
static void
check_arrived(const struct half *half)
{
	must(half->read == half->written);
	must(half->udp || half->heard == half->written);
}

static void
end_streams(struct world *world)
{
	for (size_t id = 1; id < STREAMS_MAX; id++) {
		struct half *const up = &world->client.halves[id], *const down = &world->server.halves[id];

		must((up->stream == NULL) == (down->stream == NULL));
		if (up->stream == NULL)
			continue;
		must(!up->ended || !down->ended);
		must(up->ended == down->heard_end && down->ended == up->heard_end);
		check_arrived(up);
		check_arrived(down);
		close_stream(id % 2 ? up : down, WISP_REASON_VOLUNTARY);
	}
}

/* The client goes, and the server hears of it. */
static void
end_connection(struct world *world)
{
	wisp_session_shutdown(world->client.session, WISP_WS_NORMAL);
	pull(world, &world->client, WISP_PULL_ROOM, WISP_PULL_ROOM);
	deliver(world, &world->client, SIZE_MAX);
	must(wisp_session_error(world->server.session) != NULL);
	must(wisp_session_close_status(world->server.session) == WISP_WS_NORMAL);
}

static void
end_side(struct side *side)
{
	wisp_session_free(side->session);
	for (size_t id = 1; id < STREAMS_MAX; id++)
		buffer_free(&side->halves[id].sizes);
	buffer_free(&side->queue);
	wire_free(&side->sends);
	wire_free(&side->hears);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct world *const world = calloc(1, sizeof *world);

	must(world != NULL);
	world->input = (struct input){p, n};
	begin(world);
	while (world->input.n > 0)
		step(world);
	drain(world);
	end_streams(world);
	drain(world);
	must(wisp_session_stream_count(world->client.session) == 0);
	must(wisp_session_stream_count(world->server.session) == 0);
	end_connection(world);
	end_side(&world->client);
	end_side(&world->server);
	free(world);
	return 0;
}
