/*
 * Fuzz target: a session of either role hears arbitrary bytes, while the application around it, callbacks too, does
 * arbitrary things. The input is a program: a few bytes that set the session up, then operations with their arguments.
 */
#include <stdlib.h>
#include <string.h>

#include <wisp/session.h>

#include "support.h"
#include "wire.h"

#define SLOTS 8

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A stream of the application. */
struct slot {
	struct fuzz *fuzz;
	struct wisp_stream *stream; /* NULL when there is none */
	bool datagrams;
};

struct fuzz {
	const uint8_t *p; /* what is left of the input */
	size_t n;
	bool client;
	uint64_t now_ms;
	struct wisp_client_options client_options;
	struct wisp_server_options server_options;
	struct wisp_session *session;
	struct slot slots[SLOTS];
	struct wire wire;
	int depth; /* of callbacks that act */
};

/* What must be so whatever the input is. */
static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the input ---- */

static unsigned
take(struct fuzz *fuzz)
{
	if (fuzz->n == 0)
		return 0;
	fuzz->n--;
	return *fuzz->p++;
}

/* Up to n bytes. */
static const uint8_t *
take_bytes(struct fuzz *fuzz, size_t *n)
{
	const uint8_t *const p = fuzz->p;

	if (*n > fuzz->n)
		*n = fuzz->n;
	fuzz->p += *n;
	fuzz->n -= *n;
	return p;
}

/* ---- what the application does ---- */

static const struct wisp_stream_callbacks stream_callbacks;

static struct slot *
free_slot(struct fuzz *fuzz)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (fuzz->slots[i].stream == NULL)
			return &fuzz->slots[i];
	return NULL;
}

static void
open_stream(struct fuzz *fuzz)
{
	static const char host[WISP_HOST_MAX + 1] = "host.example";
	struct slot *const slot = free_slot(fuzz);
	const struct wisp_destination destination = {
		.type = take(fuzz) % 4 ? WISP_TCP : WISP_UDP,
		.port = (uint16_t)take(fuzz),
		.host = host,
		.host_size = take(fuzz) + take(fuzz) % 2,
	};

	if (slot == NULL || !fuzz->client)
		return;
	slot->datagrams = destination.type == WISP_UDP;
	slot->stream = wisp_stream_open(fuzz->session, &destination, &stream_callbacks, slot);
}

/* Something that any callback may do, too. */
static void
act(struct fuzz *fuzz, unsigned what)
{
	struct slot *const slot = &fuzz->slots[take(fuzz) % SLOTS];
	struct wisp_stream *const stream = slot->stream;

	if (what % 8 == 0) {
		open_stream(fuzz);
		return;
	}
	if (what % 8 == 1) {
		wisp_session_ping(fuzz->session);
		return;
	}
	if (stream == NULL)
		return;
	switch (what % 8) {
	case 2:
	case 3:
	case 4:
		wisp_stream_ready(stream);
		break;
	case 5:
		slot->stream = NULL;
		wisp_stream_close(stream, (uint8_t)take(fuzz));
		break;
	case 6:
		if (!fuzz->client)
			wisp_stream_confirm(stream);
		break;
	default:
		wisp_stream_set_backlog(stream, (size_t)take(fuzz) << (take(fuzz) % 20));
		break;
	}
}

static void
act_in_callback(struct fuzz *fuzz)
{
	const unsigned what = take(fuzz);

	if (what < 128 || fuzz->depth > 0)
		return;
	fuzz->depth++;
	act(fuzz, what);
	fuzz->depth--;
}

/* ---- callbacks ---- */

static void
on_ready(void *arg)
{
	act_in_callback(arg);
}

static void
on_wake(void *arg)
{
	const struct fuzz *const fuzz = arg;

	must(fuzz->session != NULL);
}

static void
on_open(void *arg, struct wisp_stream *stream, const struct wisp_destination *destination)
{
	struct fuzz *const fuzz = arg;
	struct slot *const slot = free_slot(fuzz);

	must(!fuzz->client);
	must(destination->host_size >= 1 && destination->host_size <= WISP_HOST_MAX && destination->port != 0);
	if (slot == NULL || take(fuzz) % 8 == 0) {
		wisp_stream_close(stream, WISP_REASON_UNREACHABLE);
		return;
	}
	slot->stream = stream;
	slot->datagrams = destination->type == WISP_UDP;
	wisp_stream_accept(stream, &stream_callbacks, slot);
	act_in_callback(fuzz);
}

static struct slot *
live_slot(void *arg)
{
	struct slot *const slot = arg;

	must(slot != NULL && slot->stream != NULL);
	return slot;
}

static void
on_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct slot *const slot = live_slot(arg);

	must(!slot->datagrams || (last && n <= WISP_DATAGRAM_MAX));
	if (n > 0)
		memset(p, 0xd1, n); /* it is ours during the call */
	act_in_callback(slot->fuzz);
}

static void
on_closed(void *arg, uint8_t reason)
{
	struct slot *const slot = live_slot(arg);
	struct wisp_stream *const stream = slot->stream;

	(void)wisp_stream_id(stream);
	slot->stream = NULL;
	if (reason % 2)
		wisp_stream_close(stream, reason);
	/* A session that is being freed would go on for as long as this opens streams. */
	if (slot->fuzz->n > 0)
		act_in_callback(slot->fuzz);
}

static size_t
on_read(void *arg, uint8_t *p, size_t n)
{
	struct slot *const slot = live_slot(arg);
	const unsigned sizes[] = {0, 0, 1, 100, 1000, 20000, 65530, 100000};
	size_t size = sizes[take(slot->fuzz) % COUNT(sizes)];

	if (size > n)
		size = n;
	memset(p, 0xd2, n);
	if (slot->datagrams && size == 0 && n % 2)
		size = WISP_EMPTY_DATAGRAM;
	act_in_callback(slot->fuzz);
	return size;
}

static size_t
on_available(void *arg)
{
	struct slot *const slot = live_slot(arg);
	const size_t size = (size_t)take(slot->fuzz) << 8;

	act_in_callback(slot->fuzz);
	return size;
}

static void
on_granted(void *arg)
{
	act_in_callback(live_slot(arg)->fuzz);
}

static void
on_motd(void *arg, const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n); /* all of it can be read */

	(void)arg;
	free(copy);
}

static bool
check_password(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	(void)arg;
	return user_size > 0 && user[0] == 'u' && password_size > 0 && password[0] == 'p';
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	static const struct wisp_public_key key;

	(void)arg;
	return hash[0] % 2 ? &key : NULL;
}

static const struct wisp_session_callbacks callbacks = {
	.motd = on_motd,
	.pong = on_ready,
	.ready = on_ready,
	.wake = on_wake,
	.open = on_open,
};

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_data,
	.closed = on_closed,
	.read = on_read,
	.available = on_available,
	.granted = on_granted,
};

/* ---- what the session hears and says ---- */

static void
feed_session(void *arg, uint8_t *p, size_t n, bool last)
{
	struct fuzz *const fuzz = arg;

	(void)last;
	if (wisp_session_error(fuzz->session) != NULL)
		return;
	must(wisp_session_feed(fuzz->session, p, n) == (wisp_session_error(fuzz->session) == NULL));
}

/* The payload as a frame that fits the session's role. */
static void
feed_frame(struct fuzz *fuzz, enum wisp_opcode opcode, const uint8_t *payload, size_t n)
{
	static const uint8_t key[WISP_MASK_SIZE] = {1, 2, 3, 4};
	uint8_t *const frame = malloc(WISP_FRAME_HEADER_MAX + n);
	uint8_t *start;

	must(frame != NULL);
	memcpy(frame + WISP_FRAME_HEADER_MAX, payload, n);
	start = wisp_frame_encode(frame + WISP_FRAME_HEADER_MAX, n, opcode, fuzz->client ? NULL : key);
	if (take(fuzz) % 4 == 0)
		start[0] &= 0x7f;
	feed_split(take(fuzz), start, (size_t)(frame + WISP_FRAME_HEADER_MAX + n - start), feed_session, fuzz);
	free(frame);
}

static void
feed_packet(struct fuzz *fuzz)
{
	uint8_t packet[WISP_PACKET_HEADER_SIZE + 256];
	const enum wisp_packet_type type = (enum wisp_packet_type)(take(fuzz) % 7);
	const uint32_t id = take(fuzz) % 10;
	size_t n = take(fuzz);
	const uint8_t *const payload = take_bytes(fuzz, &n);

	wisp_packet_header(packet, type, id);
	if (n > 0)
		memcpy(packet + WISP_PACKET_HEADER_SIZE, payload, n);
	feed_frame(fuzz, WISP_OPCODE_BINARY, packet, WISP_PACKET_HEADER_SIZE + n);
}

static void
feed_control(struct fuzz *fuzz)
{
	static const enum wisp_opcode opcodes[] = {
		WISP_OPCODE_PING, WISP_OPCODE_PONG, WISP_OPCODE_TEXT, WISP_OPCODE_CLOSE, WISP_OPCODE_CONTINUATION};
	const enum wisp_opcode opcode = opcodes[take(fuzz) % COUNT(opcodes)];
	uint8_t payload[256];
	size_t n = take(fuzz);
	const uint8_t *const p = take_bytes(fuzz, &n);

	if (n > 0)
		memcpy(payload, p, n);
	feed_frame(fuzz, opcode, payload, n);
}

static void
feed_raw(struct fuzz *fuzz)
{
	const unsigned split = take(fuzz);
	size_t n = take(fuzz);
	const uint8_t *const p = take_bytes(fuzz, &n);

	feed_split(split, p, n, feed_session, fuzz);
}

/* What a session sends can be read, whatever it has heard. */
static void
pull(struct fuzz *fuzz)
{
	static const size_t sizes[] = {0, 1023, 1024, 1100, 5000, 9300, 65540, 70000, 200000};
	const size_t n = sizes[take(fuzz) % COUNT(sizes)];
	uint8_t *const p = malloc(n);
	const bool pending = wisp_session_pending(fuzz->session);
	const uint64_t deadline_ms = wisp_session_deadline_ms(fuzz->session);
	size_t got;

	must(p != NULL);
	got = wisp_session_pull(fuzz->session, p, n, n, fuzz->now_ms);
	must(got <= n);
	must(got == 0 || n >= WISP_PULL_MIN);
	must(got == 0 || pending || (deadline_ms != 0 && deadline_ms <= fuzz->now_ms));
	wire_take(&fuzz->wire, p, got);
	must(!fuzz->wire.failed);
	buffer_clear(&fuzz->wire.log);
	free(p);
}

/* ---- the program ---- */

static void
set_up(struct fuzz *fuzz)
{
	const unsigned kind = take(fuzz);
	const unsigned credit = take(fuzz), streams = take(fuzz);

	fuzz->client = kind % 2;
	fuzz->client_options = (struct wisp_client_options){
		.versions = (enum wisp_versions)(kind / 2 % 3),
		.udp = kind & 0x10,
		.confirm = kind & 0x20,
		.trusted = kind & 0x40,
		.user = kind & 0x08 ? "user" : NULL,
		.password = "password",
	};
	fuzz->server_options = (struct wisp_server_options){
		.credit = 1 + credit,
		.udp = kind & 0x10,
		.motd = kind & 0x20 ? "hello" : NULL,
		.check_password = kind & 0x40 ? check_password : NULL,
		.find_key = kind & 0x80 ? find_key : NULL,
	};
	for (size_t i = 0; i < SLOTS; i++)
		fuzz->slots[i].fuzz = fuzz;
	if (fuzz->client)
		fuzz->session = wisp_session_new_client(&fuzz->client_options, &callbacks, fuzz);
	else
		fuzz->session = wisp_session_new_server(
			&fuzz->server_options, 1 + kind / 2 % 2, 1 + streams % 10, &callbacks, fuzz);
	must(fuzz->session != NULL);
	wire_init(&fuzz->wire, fuzz->client);
	/* Most sessions should get past their handshake. */
	if (fuzz->client && kind & 0x80) {
		uint8_t packet[16];

		feed_frame(fuzz, WISP_OPCODE_BINARY, packet, wisp_packet_continue(packet, WISP_CONNECTION, credit));
	}
}

static void
step(struct fuzz *fuzz)
{
	const unsigned operation = take(fuzz);

	switch (operation % 16) {
	case 0:
		feed_raw(fuzz);
		break;
	case 1:
		feed_control(fuzz);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		feed_packet(fuzz);
		break;
	case 6:
	case 7:
	case 8:
		pull(fuzz);
		break;
	case 9:
		fuzz->now_ms += take(fuzz);
		break;
	case 10:
		if (operation == 10)
			wisp_session_shutdown(fuzz->session, WISP_WS_GOING_AWAY);
		break;
	default:
		act(fuzz, take(fuzz));
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fuzz fuzz = {.p = p, .n = n, .now_ms = 1};

	set_up(&fuzz);
	while (fuzz.n > 0)
		step(&fuzz);
	wisp_session_free(fuzz.session);
	/* Each stream has been told. */
	for (size_t i = 0; i < SLOTS; i++)
		must(fuzz.slots[i].stream == NULL);
	wire_free(&fuzz.wire);
	return 0;
}
