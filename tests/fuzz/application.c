#include <stdlib.h>
#include <string.h>

#include "hostile.h"

static const struct wisp_stream_callbacks stream_callbacks;

/* ---- streams ---- */

static struct slot **
find_place(struct hostile *hostile)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (hostile->slots[i] == NULL)
			return &hostile->slots[i];
	return NULL;
}

struct slot *
application_slot(struct hostile *hostile, uint32_t id)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (hostile->slots[i] != NULL && wisp_stream_id(hostile->slots[i]->stream) == id)
			return hostile->slots[i];
	return NULL;
}

static struct slot *
slot_new(struct hostile *hostile, struct slot **place, enum wisp_stream_type type)
{
	struct slot *const slot = calloc(1, sizeof *slot);

	must(slot != NULL);
	slot->hostile = hostile;
	slot->datagrams = type == WISP_UDP;
	hostile->has_udp |= slot->datagrams;
	*place = slot;
	return slot;
}

static void
slot_free(struct slot *slot)
{
	struct slot **place = slot->hostile->slots;

	while (*place != slot)
		place++;
	*place = NULL;
	free(slot);
}

static void
open_stream(struct hostile *hostile)
{
	static const char host[WISP_HOST_MAX + 1] = "host.example";
	const struct wisp_destination destination = {
		.type = input_byte(&hostile->input) % 4 ? WISP_TCP : WISP_UDP,
		.port = (uint16_t)input_byte(&hostile->input),
		.host = host,
		.host_size = input_byte(&hostile->input) + input_byte(&hostile->input) % 2,
	};
	struct slot **const place = find_place(hostile);
	struct slot *slot;

	if (place == NULL || !hostile->client)
		return;
	slot = slot_new(hostile, place, destination.type);
	slot->stream = wisp_stream_open(hostile->session, &destination, &stream_callbacks, slot);
	if (slot->stream != NULL)
		ledger_open(&hostile->ledger, wisp_stream_id(slot->stream), slot->datagrams);
	else
		slot_free(slot);
}

void
application_close(struct slot *slot, uint8_t reason)
{
	struct hostile *const hostile = slot->hostile;
	struct wisp_stream *const stream = slot->stream;
	const uint32_t id = wisp_stream_id(stream);

	buffer_put(&hostile->closed, &id, sizeof id);
	slot_free(slot);
	wisp_stream_close(stream, reason);
}

/* The receiver has taken some, or been given more. */
static void
set_backlog(struct slot *slot)
{
	struct input *const input = &slot->hostile->input;
	const size_t mantissa = input_byte(input);

	slot->backlog = mantissa << input_byte(input) % 20;
	if (slot->backlog < slot->least_backlog)
		slot->least_backlog = slot->backlog;
	wisp_stream_set_backlog(slot->stream, slot->backlog);
}

void
application_act(struct hostile *hostile, unsigned what)
{
	struct slot *const slot = hostile->slots[input_byte(&hostile->input) % SLOTS];

	if (what % 8 == 0)
		open_stream(hostile);
	else if (what % 8 == 1)
		wisp_session_ping(hostile->session);
	if (what % 8 <= 1 || slot == NULL)
		return;
	switch (what % 8) {
	case 5:
		application_close(slot, (uint8_t)input_byte(&hostile->input));
		break;
	case 6:
		slot->confirmed = true;
		if (!hostile->client)
			wisp_stream_confirm(slot->stream);
		break;
	case 7:
		set_backlog(slot);
		break;
	case 4:
		slot->ended |= wisp_stream_end(slot->stream);
		break;
	default:
		wisp_stream_ready(slot->stream);
		break;
	}
}

static void
act_in_callback(struct hostile *hostile)
{
	const unsigned what = input_byte(&hostile->input);

	if (what < 128 || hostile->depth > 0)
		return;
	hostile->depth++;
	application_act(hostile, what);
	hostile->depth--;
}

/* ---- callbacks of the session ---- */

static void
on_ready(void *arg)
{
	struct hostile *const hostile = arg;

	if (hostile->client)
		hostile->ledger.initial_credit = hostile->heard.credit;
	act_in_callback(hostile);
}

static void
on_pong(void *arg)
{
	act_in_callback(arg);
}

static void
on_wake(void *arg)
{
	const struct hostile *const hostile = arg;

	must(hostile->session != NULL);
}

static void
on_open(void *arg, struct wisp_stream *stream, const struct wisp_destination *destination)
{
	struct hostile *const hostile = arg;
	struct slot **const place = find_place(hostile);
	struct slot *slot;

	must(!hostile->client);
	must(destination->host_size >= 1 && destination->host_size <= WISP_HOST_MAX && destination->port != 0);
	if (place == NULL || input_byte(&hostile->input) % 8 == 0) {
		wisp_stream_close(stream, WISP_REASON_UNREACHABLE);
		return;
	}
	slot = slot_new(hostile, place, destination->type);
	slot->stream = stream;
	wisp_stream_accept(stream, &stream_callbacks, slot);
	act_in_callback(hostile);
}

static void
on_motd(void *arg, const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n); /* all of it can be read */

	(void)arg;
	free(copy);
}

enum wisp_password
application_check_password(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	(void)arg;
	return user_size > 0 && user[0] == 'u' && password_size > 0 && password[0] == 'p' ? WISP_PASSWORD_RIGHT
											  : WISP_PASSWORD_WRONG;
}

const struct wisp_public_key *
application_find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	static const struct wisp_public_key key;

	(void)arg;
	return hash[0] % 2 ? &key : NULL;
}

const struct wisp_session_callbacks application_callbacks = {
	.motd = on_motd,
	.pong = on_pong,
	.ready = on_ready,
	.wake = on_wake,
	.open = on_open,
};

/* ---- callbacks of a stream ---- */

static void
on_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct slot *const slot = arg;

	must(!slot->datagrams || (last && n <= WISP_DATAGRAM_MAX));
	must(!slot->peer_ended);
	if (n > 0)
		memset(p, 0xd1, n); /* it is ours during the call */
	if (!slot->hostile->client) {
		slot->backlog += n;
		wisp_stream_set_backlog(slot->stream, slot->backlog);
	}
	act_in_callback(slot->hostile);
}

static void
on_closed(void *arg, uint8_t reason)
{
	struct slot *const slot = arg;
	struct hostile *const hostile = slot->hostile;
	struct wisp_stream *const stream = slot->stream;

	(void)wisp_stream_id(stream);
	slot_free(slot);
	if (reason % 2)
		wisp_stream_close(stream, reason);
	/* A session that is being freed would go on for as long as this opens streams. */
	if (hostile->input.n > 0)
		act_in_callback(hostile);
}

static size_t
on_read(void *arg, uint8_t *p, size_t n)
{
	static const unsigned sizes[] = {0, 0, 1, 100, 1000, 20000, 65530, 100000};
	struct slot *const slot = arg;
	size_t size = sizes[input_byte(&slot->hostile->input) % COUNT(sizes)];

	must(!slot->ended);
	if (size > n)
		size = n;
	memset(p, 0xd2, n);
	if (slot->datagrams && size == 0 && n % 2)
		size = WISP_EMPTY_DATAGRAM;
	act_in_callback(slot->hostile);
	return size;
}

static size_t
on_available(void *arg)
{
	struct slot *const slot = arg;
	const size_t size = (size_t)input_byte(&slot->hostile->input) << 8;

	must(!slot->ended);
	act_in_callback(slot->hostile);
	return size;
}

static void
on_granted(void *arg)
{
	struct slot *const slot = arg;

	act_in_callback(slot->hostile);
}

static void
on_ended(void *arg)
{
	struct slot *const slot = arg;

	must(!slot->datagrams && !slot->peer_ended);
	must(wisp_session_handshake(slot->hostile->session)->end_of_data);
	slot->peer_ended = true;
	act_in_callback(slot->hostile);
}

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_data,
	.closed = on_closed,
	.read = on_read,
	.available = on_available,
	.granted = on_granted,
	.ended = on_ended,
};
