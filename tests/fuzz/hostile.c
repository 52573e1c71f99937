#include "hostile.h"

#include <stdlib.h>
#include <string.h>

/* The longest message that it hears. */
#define BULK_MAX 80000

/* ---- what the session hears ---- */

/* Decode what stands at the start of the n bytes at p, as the session will. Returns its size. */
static size_t
look_ahead(struct hostile *hostile, const uint8_t *p, size_t n, bool *found)
{
	static uint8_t data[1]; /* nobody looks at it */
	uint8_t *const copy = exact_copy(p, n);
	struct wisp_frame_piece piece;
	const size_t taken = wisp_frame_decode(&hostile->frames, copy, n, &piece);

	*found = piece.kind == WISP_FRAME_MESSAGE && piece.opcode == WISP_OPCODE_BINARY &&
		 wisp_packet_decode(&hostile->packets, piece.data, piece.size, piece.last, &hostile->heard) ==
			 WISP_PACKET_FOUND;
	hostile->heard.data = data;
	free(copy);
	return taken;
}

/* Feed bytes in pieces that have no more than one packet in them, so that the ledger can follow. */
static void
feed_session(void *arg, uint8_t *p, size_t n, bool last)
{
	struct hostile *const hostile = arg;

	(void)last;
	while (n > 0 && wisp_session_error(hostile->session) == NULL) {
		bool found;
		const size_t size = look_ahead(hostile, p, n, &found);
		const bool good = wisp_session_feed(hostile->session, p, size);

		must(good == (wisp_session_error(hostile->session) == NULL));
		if (found && good)
			ledger_hear(&hostile->ledger, &hostile->heard);
		must(!good || wisp_session_untaken(hostile->session) == 0); /* of so few, none is too much */
		must(size > 0 || !good);
		p += size;
		n -= size;
	}
}

/* Make a frame that fits the session's role, of a payload with room for the header before it. Returns its start. */
static uint8_t *
make_frame(const struct hostile *hostile, uint8_t *payload, size_t n, enum wisp_opcode opcode)
{
	static const uint8_t key[WISP_MASK_SIZE] = {1, 2, 3, 4};

	return wisp_frame_encode(payload, n, opcode, hostile->client ? NULL : key);
}

static void
feed_frame(struct hostile *hostile, enum wisp_opcode opcode, const uint8_t *payload, size_t n)
{
	uint8_t frame[WISP_FRAME_HEADER_MAX + 300];
	uint8_t *start;

	must(n <= sizeof frame - WISP_FRAME_HEADER_MAX);
	if (n > 0)
		memcpy(frame + WISP_FRAME_HEADER_MAX, payload, n);
	start = make_frame(hostile, frame + WISP_FRAME_HEADER_MAX, n, opcode);
	if (input_byte(&hostile->input) % 4 == 3)
		start[0] &= 0x7f; /* there is more of it to come */
	feed_split(input_byte(&hostile->input), start, (size_t)(frame + WISP_FRAME_HEADER_MAX + n - start),
		feed_session, hostile);
}

static void
feed_packet(struct hostile *hostile)
{
	uint8_t packet[WISP_PACKET_HEADER_SIZE + 256];
	const unsigned kind = input_byte(&hostile->input);
	const enum wisp_packet_type type = kind >= 224 ? WISP_END : (enum wisp_packet_type)(kind % 7);
	const uint32_t id = input_byte(&hostile->input) % 10;
	size_t n = input_byte(&hostile->input);
	const uint8_t *const payload = input_bytes(&hostile->input, &n);

	wisp_packet_header(packet, type, id);
	if (n > 0)
		memcpy(packet + WISP_PACKET_HEADER_SIZE, payload, n);
	feed_frame(hostile, WISP_OPCODE_BINARY, packet, WISP_PACKET_HEADER_SIZE + n);
}

/* A long message, with nothing in it worth its bytes in the input, in two pieces. */
static void
feed_bulk(struct hostile *hostile)
{
	uint8_t *const frame = calloc(1, WISP_FRAME_HEADER_MAX + BULK_MAX);
	const uint32_t id = input_byte(&hostile->input) % 10;
	const size_t n = WISP_PACKET_HEADER_SIZE + (size_t)input_byte(&hostile->input) * 300;
	uint8_t *start, *cut;

	must(frame != NULL && n <= BULK_MAX);
	wisp_packet_header(frame + WISP_FRAME_HEADER_MAX, WISP_DATA, id);
	start = make_frame(hostile, frame + WISP_FRAME_HEADER_MAX, n, WISP_OPCODE_BINARY);
	cut = frame + WISP_FRAME_HEADER_MAX + n / 256 * input_byte(&hostile->input);
	feed_session(hostile, start, (size_t)(cut - start), false);
	feed_session(hostile, cut, (size_t)(frame + WISP_FRAME_HEADER_MAX + n - cut), true);
	free(frame);
}

static void
feed_control(struct hostile *hostile)
{
	static const enum wisp_opcode opcodes[] = {
		WISP_OPCODE_PING, WISP_OPCODE_PONG, WISP_OPCODE_TEXT, WISP_OPCODE_CLOSE, WISP_OPCODE_CONTINUATION};
	const enum wisp_opcode opcode = opcodes[input_byte(&hostile->input) % COUNT(opcodes)];
	size_t n = input_byte(&hostile->input);
	const uint8_t *const payload = input_bytes(&hostile->input, &n);

	feed_frame(hostile, opcode, payload, n);
}

static void
feed_raw(struct hostile *hostile)
{
	const unsigned split = input_byte(&hostile->input);
	size_t n = input_byte(&hostile->input);
	const uint8_t *const p = input_bytes(&hostile->input, &n);

	feed_split(split, p, n, feed_session, hostile);
}

/* ---- what the session says ---- */

/* New credit: no more than there is room for, and only for a stream that stands, if it would say that it does. */
static void
check_credit(struct hostile *hostile, const struct wisp_packet *packet)
{
	const struct slot *const slot = application_slot(hostile, packet->stream_id);

	if (slot == NULL)
		return; /* a callback has closed it since */
	ledger_grant(&hostile->ledger, packet->credit, slot->least_backlog);
	must(slot->confirmed || !wisp_session_handshake(hostile->session)->confirmation);
}

static void
check_sent(void *arg, const struct wisp_packet *packet)
{
	struct hostile *const hostile = arg;

	hostile->ledger.end_of_data = wisp_session_handshake(hostile->session)->end_of_data;
	ledger_send(&hostile->ledger, packet);
	if (packet->type == WISP_CONTINUE && packet->stream_id != WISP_CONNECTION)
		check_credit(hostile, packet);
}

/* Streams that were closed in a callback of a pull have been closed after what it sent before. */
static void
note_closed(struct hostile *hostile)
{
	for (size_t at = 0; at < hostile->closed.n; at += sizeof(uint32_t)) {
		uint32_t id;

		memcpy(&id, hostile->closed.p + at, sizeof id);
		ledger_close(&hostile->ledger, id);
	}
	buffer_clear(&hostile->closed);
}

/* What a session sends can be read, whatever it has heard. Returns how much it was. */
static size_t
pull_room(struct hostile *hostile, size_t n, size_t goal)
{
	uint8_t *const p = malloc(n);
	const bool pending = wisp_session_pending(hostile->session);
	const uint64_t deadline_ms = wisp_session_deadline_ms(hostile->session);
	const bool steady = wisp_session_version(hostile->session) != 0 && !hostile->has_udp &&
			    !wisp_handshake_pending(wisp_session_handshake(hostile->session));
	size_t got;

	must(p != NULL);
	note_closed(hostile);
	for (size_t i = 0; i < SLOTS; i++)
		if (hostile->slots[i] != NULL)
			hostile->slots[i]->least_backlog = hostile->slots[i]->backlog;
	got = wisp_session_pull(hostile->session, p, n, goal, hostile->now_ms);
	must(got <= n && (!steady || hostile->has_udp || got <= goal));
	must(got == 0 || (n >= WISP_PULL_MIN && goal >= WISP_PULL_MIN));
	must(got == 0 || pending || (deadline_ms != 0 && deadline_ms <= hostile->now_ms));
	must(wisp_session_deadline_ms(hostile->session) == 0 ||
		wisp_session_deadline_ms(hostile->session) > hostile->now_ms);
	wire_take(&hostile->wire, p, got);
	must(!hostile->wire.failed);
	buffer_clear(&hostile->wire.log);
	free(p);
	return got;
}

static void
pull(struct hostile *hostile)
{
	static const size_t sizes[] = {0, 1023, 1024, 1100, 5000, 9300, 65540, 70000, 200000};
	const unsigned what = input_byte(&hostile->input);
	const size_t n = sizes[what % COUNT(sizes)];

	pull_room(hostile, n, what >= 128 ? n - n / 3 : n);
}

/* ---- the program ---- */

static void
new_session(struct hostile *hostile, unsigned kind, unsigned credit, unsigned streams)
{
	hostile->client_options = (struct wisp_client_options){
		.versions = (enum wisp_versions)(kind / 2 % 3),
		.udp = kind & 0x10,
		.confirm = kind & 0x20,
		.end_of_data = kind & 0x20,
		.trusted = kind & 0x40,
		.user = kind & 0x08 ? "user" : NULL,
		.password = "password",
	};
	hostile->server_options = (struct wisp_server_options){
		.credit = 1 + credit,
		.udp = kind & 0x10,
		.end_of_data = kind & 0x20,
		.motd = kind & 0x20 ? "hello" : NULL,
		.check_password = kind & 0x40 ? application_check_password : NULL,
		.find_key = kind & 0x80 ? application_find_key : NULL,
	};
	hostile->ledger.client = hostile->client;
	hostile->ledger.initial_credit = hostile->server_options.credit; /* a client's comes later */
	if (hostile->client)
		hostile->session = wisp_session_new_client(&hostile->client_options, &application_callbacks, hostile);
	else
		hostile->session = wisp_session_new_server(
			&hostile->server_options, 1 + kind / 2 % 2, 1 + streams % 10, &application_callbacks, hostile);
	must(hostile->session != NULL);
}

static void
set_up(struct hostile *hostile)
{
	const unsigned kind = input_byte(&hostile->input);
	const unsigned credit = input_byte(&hostile->input), streams = input_byte(&hostile->input);

	new_session(hostile, kind, credit, streams);
	wisp_frame_decoder_init(&hostile->frames, !hostile->client);
	wisp_packet_decoder_init(&hostile->packets);
	wire_init(&hostile->wire, hostile->client);
	hostile->wire.packet = check_sent;
	hostile->wire.arg = hostile;
	/* Most sessions should get past their handshake. */
	if (hostile->client && kind & 0x80) {
		uint8_t packet[16];

		feed_frame(hostile, WISP_OPCODE_BINARY, packet, wisp_packet_continue(packet, WISP_CONNECTION, credit));
	}
}

static void
step(struct hostile *hostile)
{
	const unsigned operation = input_byte(&hostile->input);

	switch (operation % 16) {
	case 0:
		feed_raw(hostile);
		break;
	case 1:
		feed_control(hostile);
		break;
	case 2:
	case 3:
	case 4:
		feed_packet(hostile);
		break;
	case 5:
		feed_bulk(hostile);
		break;
	case 6:
	case 7:
	case 8:
		pull(hostile);
		break;
	case 9:
		hostile->now_ms += input_byte(&hostile->input);
		break;
	case 10:
		if (operation != 10)
			break;
		wisp_session_shutdown(hostile->session, WISP_WS_GOING_AWAY);
		hostile->shut_down = true;
		break;
	default:
		application_act(hostile, input_byte(&hostile->input));
		break;
	}
}

/* The application closes all streams. When the other side can be told, nothing is left of them. */
static void
close_all(struct hostile *hostile)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (hostile->slots[i] != NULL)
			application_close(hostile->slots[i], WISP_REASON_VOLUNTARY);
	while (pull_room(hostile, WISP_PULL_ROOM, WISP_PULL_ROOM) > 0)
		;
	must(!wisp_session_pending(hostile->session));
	if (!hostile->shut_down && wisp_session_error(hostile->session) == NULL)
		must(wisp_session_stream_count(hostile->session) == 0);
}

void
hostile_run(bool client, const uint8_t *p, size_t n)
{
	struct hostile hostile = {.input = {p, n}, .client = client, .now_ms = 1};
	bool closes;

	set_up(&hostile);
	closes = input_byte(&hostile.input) % 2;
	while (hostile.input.n > 0)
		step(&hostile);
	if (closes)
		close_all(&hostile);
	wisp_session_free(hostile.session);
	/* Each stream has been told. */
	for (size_t i = 0; i < SLOTS; i++)
		must(hostile.slots[i] == NULL);
	wire_free(&hostile.wire);
	buffer_free(&hostile.closed);
}
