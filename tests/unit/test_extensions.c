/* What stands in INFO's extensions: payloads of each length, challenges, texts up to the longest, and what is cut off.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <wisp/handshake.h>

#include "keys.h"

#define KEY_ANSWER_SIZE (1 + WISP_KEY_HASH_SIZE + WISP_KEY_SIGNATURE_SIZE)
#define RUNS_OVER "an INFO packet has an extension that runs over its end"
#define TOO_SHORT "an INFO packet has an extension that is too short"

/* ---- what the sides know ---- */

static struct wisp_key *key;
static struct wisp_public_key public_key;

/* What the server was last shown. */
static char user[2000], password[2000];
static unsigned password_checks;

static enum wisp_password
check_password(void *arg, const char *u, size_t u_size, const char *p, size_t p_size)
{
	assert_ptr_equal(arg, &password_checks);
	assert_true(u_size < sizeof user && p_size < sizeof password);
	memset(user, 0, sizeof user);
	memset(password, 0, sizeof password);
	memcpy(user, u, u_size);
	memcpy(password, p, p_size);
	password_checks++;
	return u_size == 4 && p_size == 8 && strcmp(user, "user") == 0 && strcmp(password, "password") == 0
		       ? WISP_PASSWORD_RIGHT
		       : WISP_PASSWORD_WRONG;
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	assert_ptr_equal(arg, &password_checks);
	return memcmp(hash, public_key.hash, WISP_KEY_HASH_SIZE) == 0 ? &public_key : NULL;
}

static const struct wisp_server_options asks = {
	.credit = 1, .udp = true, .check_password = check_password, .find_key = find_key, .arg = &password_checks};

static int
read_keys(void **state)
{
	const char *text = SSH_A, *error;
	size_t n = strlen(text);

	(void)state;
	key = wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error);
	return key == NULL || wisp_public_key_next(&text, &n, &public_key) != WISP_KEY_FOUND;
}

static int
free_keys(void **state)
{
	(void)state;
	wisp_key_free(key);
	return 0;
}

/* ---- INFO ---- */

/* Let a side hear an INFO of n bytes, from a block of just that size. */
static void
hear(struct wisp_handshake *handshake, const uint8_t *p, size_t n)
{
	struct wisp_packet info = {.type = WISP_INFO, .data = exact_copy(p, n), .size = n};

	wisp_handshake_receive(handshake, &info);
	free(info.data);
}

/* The same, of an INFO with one extension. */
static void
hear_extension(struct wisp_handshake *handshake, enum wisp_extension_id id, const uint8_t *p, size_t n)
{
	const struct wisp_extension extension = {(uint8_t)id, p, n};
	uint8_t *const info = malloc(2 + WISP_EXTENSION_HEADER_SIZE + n);

	assert_non_null(info);
	memcpy(info, "\x02", 2);
	hear(handshake, info, 2 + wisp_extension_write(info + 2, &extension));
	free(info);
}

/* What a server makes of a client's extension: 0 when it lets it in, or the reason. */
static uint8_t
answer(enum wisp_extension_id id, const uint8_t *p, size_t n)
{
	struct wisp_handshake server;

	wisp_handshake_init_server(&server, &asks, 2);
	hear_extension(&server, id, p, n);
	assert_int_equal(server.state == WISP_HANDSHAKE_DONE, server.reason == 0);
	assert_int_equal(server.reason, server.close_reason);
	return server.reason;
}

/* ---- passwords ---- */

static void
passwords_have_one_form(void **state)
{
	const uint8_t right[] = "\x04userpassword";
	const size_t size = sizeof right - 1;
	uint8_t changed[sizeof right];

	(void)state;
	/* Each length, also one more. */
	for (size_t n = 0; n <= size + 1; n++) {
		password_checks = 0;
		assert_int_equal(answer(WISP_EXTENSION_PASSWORD, right, n), n == size ? 0 : WISP_REASON_BAD_PASSWORD);
		assert_int_equal(password_checks, n >= 5);
	}
	/* Each length of the user name that it could claim. */
	memcpy(changed, right, sizeof changed);
	for (unsigned n = 0; n <= UINT8_MAX; n++) {
		changed[0] = (uint8_t)n;
		password_checks = 0;
		assert_int_equal(answer(WISP_EXTENSION_PASSWORD, changed, size), n == 4 ? 0 : WISP_REASON_BAD_PASSWORD);
		assert_int_equal(password_checks, n <= size - 1);
	}
}

/* As some clients write it: the password's size, in two bytes, behind the user name's. */
static void
passwords_may_have_their_size_before_them(void **state)
{
	const uint8_t right[] = "\x04\x08\x00userpassword";
	const size_t size = sizeof right - 1;
	uint8_t changed[sizeof right];

	(void)state;
	for (size_t n = 0; n <= size + 1; n++)
		assert_int_equal(answer(WISP_EXTENSION_PASSWORD, right, n), n == size ? 0 : WISP_REASON_BAD_PASSWORD);
	for (size_t at = 0; at < 3; at++)
		for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
			memcpy(changed, right, sizeof changed);
			changed[at] = (uint8_t)byte;
			assert_int_equal(answer(WISP_EXTENSION_PASSWORD, changed, size),
				byte == right[at] ? 0 : WISP_REASON_BAD_PASSWORD);
		}
}

static void
passwords_have_a_longest(void **state)
{
	static uint8_t p[1 + WISP_USER_MAX + WISP_PASSWORD_MAX + 1] = {WISP_USER_MAX};

	(void)state;
	memset(p + 1, 'x', sizeof p - 1);
	password_checks = 0;
	assert_int_equal(answer(WISP_EXTENSION_PASSWORD, p, sizeof p - 1), WISP_REASON_BAD_PASSWORD);
	assert_int_equal(password_checks, 1);
	assert_int_equal(strlen(user), WISP_USER_MAX);
	assert_int_equal(strlen(password), WISP_PASSWORD_MAX);
	assert_int_equal(answer(WISP_EXTENSION_PASSWORD, p, sizeof p), WISP_REASON_BAD_PASSWORD);
	assert_int_equal(password_checks, 1);
}

/* ---- signatures ---- */

/* The right answer to a server, with a byte more behind it. */
static void
sign(const struct wisp_handshake *server, uint8_t p[KEY_ANSWER_SIZE + 1])
{
	p[0] = 1;
	memcpy(p + 1, public_key.hash, WISP_KEY_HASH_SIZE);
	assert_true(wisp_key_sign(key, server->challenge, WISP_CHALLENGE_SIZE, p + 1 + WISP_KEY_HASH_SIZE));
	p[KEY_ANSWER_SIZE] = 0;
}

/* Let a server hear the right answer, of which one byte is changed and n are sent. Returns the reason, or 0. */
static uint8_t
answer_changed(size_t at, uint8_t change, size_t n)
{
	uint8_t p[KEY_ANSWER_SIZE + 1];
	struct wisp_handshake server;

	wisp_handshake_init_server(&server, &asks, 2);
	sign(&server, p);
	p[at] ^= change;
	hear_extension(&server, WISP_EXTENSION_KEY, p, n);
	assert_int_equal(server.state == WISP_HANDSHAKE_DONE, server.reason == 0);
	return server.reason;
}

static void
signatures_have_one_form(void **state)
{
	(void)state;
	for (size_t n = 0; n <= KEY_ANSWER_SIZE + 1; n++)
		assert_int_equal(answer_changed(0, 0, n), n == KEY_ANSWER_SIZE ? 0 : WISP_REASON_BAD_SIGNATURE);
	for (size_t at = 1; at < KEY_ANSWER_SIZE; at++)
		assert_int_equal(
			answer_changed(at, (uint8_t)(1u << at % 8), KEY_ANSWER_SIZE), WISP_REASON_BAD_SIGNATURE);
	/* Each algorithm that it could name. */
	for (unsigned change = 0; change <= UINT8_MAX; change++)
		assert_int_equal(answer_changed(0, (uint8_t)change, KEY_ANSWER_SIZE),
			change == 0 ? 0 : WISP_REASON_BAD_SIGNATURE);
}

/* ---- what a server offers ---- */

/* A client that has everything hears an extension. Returns its error, or NULL. */
static const char *
offer(struct wisp_handshake *client, enum wisp_extension_id id, const uint8_t *p, size_t n)
{
	static const struct wisp_client_options options = {
		.udp = true, .confirm = true, .trusted = true, .user = "user", .password = "password"};
	static struct wisp_client_options with_key;

	with_key = options;
	with_key.key = key;
	wisp_handshake_init_client(client, &with_key);
	hear_extension(client, id, p, n);
	assert_int_equal(client->state == WISP_HANDSHAKE_FAILED, client->error != NULL);
	return client->error;
}

static void
offers_have_a_shortest_form(void **state)
{
	static const struct {
		enum wisp_extension_id id;
		size_t shortest;
		enum wisp_credentials shown;
	} cases[] = {
		{WISP_EXTENSION_UDP, 0, WISP_CREDENTIALS_NONE},
		{WISP_EXTENSION_PASSWORD, 1, WISP_CREDENTIALS_PASSWORD},
		{WISP_EXTENSION_KEY, 3, WISP_CREDENTIALS_KEY},
		{WISP_EXTENSION_MOTD, 0, WISP_CREDENTIALS_NONE},
		{WISP_EXTENSION_OPEN_CONFIRMATION, 0, WISP_CREDENTIALS_NONE},
		{WISP_EXTENSION_END_OF_DATA, 0, WISP_CREDENTIALS_NONE},
		{(enum wisp_extension_id)0x00, 0, WISP_CREDENTIALS_NONE},
		{(enum wisp_extension_id)0x06, 0, WISP_CREDENTIALS_NONE},
		{(enum wisp_extension_id)0xff, 0, WISP_CREDENTIALS_NONE},
	};
	uint8_t p[100];

	(void)state;
	memset(p, 1, sizeof p);
	for (size_t i = 0; i < COUNT(cases) * sizeof p; i++) {
		const enum wisp_extension_id id = cases[i / sizeof p].id;
		const size_t n = i % sizeof p;
		struct wisp_handshake client;
		const char *const error = offer(&client, id, p, n);

		if (n < cases[i / sizeof p].shortest) {
			assert_string_equal(error, TOO_SHORT);
			assert_int_equal(client.reason, 0);
			continue;
		}
		assert_null(error);
		assert_int_equal(client.credentials, cases[i / sizeof p].shown);
		assert_int_equal(client.udp, id == WISP_EXTENSION_UDP);
		assert_int_equal(client.confirmation, id == WISP_EXTENSION_OPEN_CONFIRMATION);
		assert_int_equal(client.motd_offered, id == WISP_EXTENSION_MOTD);
		assert_int_equal(client.motd_size, id == WISP_EXTENSION_MOTD ? n : 0);
	}
}

/* Get the payload of an extension out of what a side sends. */
static size_t
sent_extension(struct wisp_handshake *handshake, enum wisp_extension_id id, uint8_t *payload)
{
	uint8_t p[WISP_HANDSHAKE_PACKET_MAX];
	size_t n = wisp_handshake_send(handshake, p);
	const uint8_t *at = p + WISP_PACKET_HEADER_SIZE + 2;
	struct wisp_extension extension;

	assert_int_equal(p[0], WISP_INFO);
	n -= (size_t)(at - p);
	while (wisp_extension_next(&at, &n, &extension)) {
		if (extension.id != id)
			continue;
		if (extension.size > 0)
			memcpy(payload, extension.data, extension.size);
		return extension.size;
	}
	return SIZE_MAX;
}

static void
challenges_of_each_size_are_signed(void **state)
{
	static const size_t sizes[] = {1, 2, 63, 64, 65, 1000, 16000};
	static uint8_t p[2 + 16000] = {1, 1};
	struct rng rng = rng_seeded(1);

	(void)state;
	rng_fill(&rng, p + 2, sizeof p - 2);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint8_t sent[WISP_HANDSHAKE_PACKET_MAX];
		struct wisp_handshake client;

		assert_null(offer(&client, WISP_EXTENSION_KEY, p, 2 + sizes[i]));
		assert_int_equal(sent_extension(&client, WISP_EXTENSION_KEY, sent), KEY_ANSWER_SIZE);
		assert_int_equal(sent[0], 1);
		assert_memory_equal(sent + 1, public_key.hash, WISP_KEY_HASH_SIZE);
		assert_int_equal(wisp_public_key_verify(&public_key, p + 2, sizes[i], sent + 1 + WISP_KEY_HASH_SIZE,
					 WISP_KEY_SIGNATURE_SIZE),
			WISP_SIGNATURE_RIGHT);
	}
}

static void
only_ed25519_is_chosen(void **state)
{
	(void)state;
	for (unsigned algorithms = 0; algorithms <= UINT8_MAX; algorithms++) {
		const uint8_t p[] = {0, (uint8_t)algorithms, 'c'};
		struct wisp_handshake client;

		assert_null(offer(&client, WISP_EXTENSION_KEY, p, sizeof p));
		assert_int_equal(client.credentials, algorithms & 1 ? WISP_CREDENTIALS_KEY : WISP_CREDENTIALS_NONE);
	}
}

/* ---- texts ---- */

static char *
text_of(char c, size_t n)
{
	char *const text = calloc(1, n + 1);

	assert_non_null(text);
	memset(text, c, n);
	return text;
}

/* Let a client with texts of these sizes and a server with such a message find one another. */
static void
exchange_texts(size_t user_size, size_t password_size, size_t motd_size)
{
	char *const u = text_of('u', user_size), *const p = text_of('p', password_size);
	char *const m = text_of('m', motd_size);
	const struct wisp_client_options options = {.trusted = true, .user = u, .password = p};
	struct wisp_server_options server_options = asks;
	struct wisp_handshake client, server;
	uint8_t sent[WISP_HANDSHAKE_PACKET_MAX];
	size_t n;

	server_options.motd = m;
	wisp_handshake_init_client(&client, &options);
	wisp_handshake_init_server(&server, &server_options, 2);
	n = wisp_handshake_send(&server, sent);
	assert_true(n <= sizeof sent);
	hear(&client, sent + WISP_PACKET_HEADER_SIZE, n - WISP_PACKET_HEADER_SIZE);
	assert_int_equal(client.motd_size, motd_size < WISP_MOTD_MAX ? motd_size : WISP_MOTD_MAX);
	n = wisp_handshake_send(&client, sent);
	assert_true(n <= sizeof sent);
	hear(&server, sent + WISP_PACKET_HEADER_SIZE, n - WISP_PACKET_HEADER_SIZE);
	assert_int_equal(strspn(user, "u"), user_size < WISP_USER_MAX ? user_size : WISP_USER_MAX);
	assert_int_equal(strspn(password, "p"), password_size < WISP_PASSWORD_MAX ? password_size : WISP_PASSWORD_MAX);
	assert_int_equal(strlen(user), strspn(user, "u"));
	assert_int_equal(strlen(password), strspn(password, "p"));
	free(u);
	free(p);
	free(m);
}

/* Longer ones are cut. */
static void
texts_have_a_longest(void **state)
{
	(void)state;
	for (int more = -1; more <= 1; more++) {
		exchange_texts(WISP_USER_MAX + (size_t)more, WISP_PASSWORD_MAX, WISP_MOTD_MAX);
		exchange_texts(WISP_USER_MAX, WISP_PASSWORD_MAX + (size_t)more, 0);
		exchange_texts(0, 0, WISP_MOTD_MAX + (size_t)more);
	}
	exchange_texts(0, WISP_PASSWORD_MAX, 1);
	exchange_texts(WISP_USER_MAX, 0, 1);
}

/* It goes through as it is, and the client says that it knows of such messages. */
static void
message_of_the_day_goes_through(void **state)
{
	static const uint8_t text[] = "caf\xc3\xa9 \x1b[2J\n\0 and more";
	uint8_t info[100] = {2, 0}, sent[WISP_HANDSHAKE_PACKET_MAX];
	const struct wisp_extension motd = {WISP_EXTENSION_MOTD, text, sizeof text};
	struct wisp_packet packet = {.type = WISP_INFO, .data = info};
	static const struct wisp_client_options options = {.trusted = true};
	struct wisp_handshake client;

	(void)state;
	packet.size = 2 + wisp_extension_write(info + 2, &motd);
	wisp_handshake_init_client(&client, &options);
	wisp_handshake_receive(&client, &packet);
	assert_int_equal(client.motd_size, sizeof text);
	assert_memory_equal(client.motd, text, sizeof text);
	assert_int_equal(sent_extension(&client, WISP_EXTENSION_MOTD, sent), 0);
	/* It is told once. */
	wisp_handshake_receive(&client, &(struct wisp_packet){.type = WISP_CONTINUE, .credit = 1});
	assert_int_equal(client.state, WISP_HANDSHAKE_DONE);
	assert_null(client.motd);
}

/* ---- INFO that is cut off, and extensions more than once ---- */

static const struct wisp_client_options plain_client = {.udp = true, .confirm = true};

static const uint8_t many[] =
	"\x02\x00\x7f\x03\x00\x00\x00xyz\x04\x02\x00\x00\x00hi\x02\x01\x00\x00\x00\x00\x02\x00\x00\x00\x00"
	"\x04\x05\x00\x00\x00later\x05\x00\x00\x00\x00\x05\x00\x00\x00\x00\x01\x00\x00\x00\x00";

/* Unknown ones are passed over, and of those that come again the first counts, even if the second is malformed. */
static void
extensions_may_come_in_any_number(void **state)
{
	struct wisp_packet info = {
		.type = WISP_INFO, .data = exact_copy(many, sizeof many - 1), .size = sizeof many - 1};
	struct wisp_handshake client;

	(void)state;
	wisp_handshake_init_client(&client, &plain_client);
	wisp_handshake_receive(&client, &info);
	assert_int_equal(client.state, WISP_HANDSHAKE_CREDIT);
	assert_true(client.udp && client.confirmation);
	assert_int_equal(client.motd_size, 2);
	assert_memory_equal(client.motd, "hi", 2);
	free(info.data);
}

static void
info_may_end_behind_an_extension_only(void **state)
{
	/* Where `many` may end: behind the version, and behind each extension. */
	static const size_t ends[] = {2, 10, 17, 23, 28, 38, 43, 48, 53};

	(void)state;
	assert_int_equal(ends[COUNT(ends) - 1], sizeof many - 1);
	for (size_t n = 0, next = 0; n < sizeof many; n++) {
		const bool whole = n == ends[next];
		const char *const error = n < 2 ? "an INFO packet is too short" : RUNS_OVER;
		struct wisp_handshake client, server;

		next += whole;
		wisp_handshake_init_client(&client, &plain_client);
		wisp_handshake_init_server(&server, &(struct wisp_server_options){.credit = 1}, 2);
		hear(&client, many, n);
		hear(&server, many, n);
		assert_int_equal(client.state, whole ? WISP_HANDSHAKE_CREDIT : WISP_HANDSHAKE_FAILED);
		assert_int_equal(server.state, whole ? WISP_HANDSHAKE_DONE : WISP_HANDSHAKE_FAILED);
		if (!whole) {
			assert_string_equal(client.error, error);
			assert_string_equal(server.error, error);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_have_one_form),
		cmocka_unit_test(passwords_may_have_their_size_before_them),
		cmocka_unit_test(passwords_have_a_longest),
		cmocka_unit_test(signatures_have_one_form),
		cmocka_unit_test(offers_have_a_shortest_form),
		cmocka_unit_test(challenges_of_each_size_are_signed),
		cmocka_unit_test(only_ed25519_is_chosen),
		cmocka_unit_test(texts_have_a_longest),
		cmocka_unit_test(message_of_the_day_goes_through),
		cmocka_unit_test(extensions_may_come_in_any_number),
		cmocka_unit_test(info_may_end_behind_an_extension_only),
	};

	return cmocka_run_group_tests_name("extensions", tests, read_keys, free_keys);
}
