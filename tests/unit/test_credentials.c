/*
 * Who is let in: what a server may ask for, what a client may have to show, and what becomes of each combination, in
 * handshakes and in the sessions around them.
 */
#include "unit.h"

#include <string.h>

#include <wisp/handshake.h>

#include "keys.h"
#include "peer.h"

#define PASSWORD "pass word"
#define REFUSED "the other side refused the connection"

/* ---- what a server knows ---- */

static struct wisp_public_key known_key;
static unsigned password_checks, key_lookups;

static enum wisp_password
check_password(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	(void)arg;
	password_checks++;
	return user_size == 4 && memcmp(user, "user", 4) == 0 && password_size == strlen(PASSWORD) &&
			       memcmp(password, PASSWORD, password_size) == 0
		       ? WISP_PASSWORD_RIGHT
		       : WISP_PASSWORD_WRONG;
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	(void)arg;
	key_lookups++;
	return memcmp(hash, known_key.hash, WISP_KEY_HASH_SIZE) == 0 ? &known_key : NULL;
}

enum asks {
	FOR_NOTHING,
	FOR_PASSWORD,
	FOR_KEY,
	FOR_EITHER,
};

static struct wisp_server_options
server_that_asks(enum asks asks)
{
	return (struct wisp_server_options){
		.credit = 77,
		.check_password = asks & FOR_PASSWORD ? check_password : NULL,
		.find_key = asks & FOR_KEY ? find_key : NULL,
	};
}

/* ---- what a client has ---- */

static struct wisp_key *key_a, *key_b;

static int
read_keys(void **state)
{
	const char *text = SSH_A, *error;
	size_t n = strlen(text);

	(void)state;
	key_a = wisp_key_read(PRIVATE_A, strlen(PRIVATE_A), &error);
	key_b = wisp_key_read(PRIVATE_B, strlen(PRIVATE_B), &error);
	return key_a == NULL || key_b == NULL || wisp_public_key_next(&text, &n, &known_key) != WISP_KEY_FOUND;
}

static int
free_keys(void **state)
{
	(void)state;
	wisp_key_free(key_a);
	wisp_key_free(key_b);
	return 0;
}

static const struct {
	const char *user;
	const char *password;
	bool right;
} passwords[] = {
	{NULL, NULL, false},
	{"user", PASSWORD, true},
	{"user", "wrong password", false},
	{"other", PASSWORD, false},
	{"user", NULL, false},
	{"", "", false},
	{NULL, PASSWORD, false},
};

/* ---- one handshake with another ---- */

struct pair {
	struct wisp_handshake client, server;
	struct buffer up;  /* the bytes that the client sent */
	struct buffer log; /* the packets of both */
};

/* Let a side say all that it has to. Returns whether that was anything. */
static bool
say(struct pair *pair, struct wisp_handshake *from, struct wisp_handshake *to)
{
	static struct wisp_packet_decoder decoder;
	uint8_t p[WISP_HANDSHAKE_PACKET_MAX];
	struct wisp_packet packet;
	bool said = false;
	size_t n;

	while ((n = wisp_handshake_send(from, p)) > 0) {
		assert_true(n <= sizeof p);
		if (from == &pair->client)
			buffer_put(&pair->up, p, n);
		wisp_packet_decoder_init(&decoder);
		assert_int_equal(wisp_packet_decode(&decoder, p, n, true, &packet), WISP_PACKET_FOUND);
		wire_log_packet(&pair->log, &packet);
		wisp_handshake_receive(to, &packet);
		said = true;
	}
	assert_false(wisp_handshake_pending(from));
	return said;
}

static void
run(struct pair *pair, const struct wisp_client_options *client, const struct wisp_server_options *server,
	uint8_t version)
{
	memset(pair, 0, sizeof *pair);
	password_checks = key_lookups = 0;
	wisp_handshake_init_client(&pair->client, client);
	wisp_handshake_init_server(&pair->server, server, version);
	while (say(pair, &pair->server, &pair->client) || say(pair, &pair->client, &pair->server))
		;
}

static void
free_pair(struct pair *pair)
{
	buffer_free(&pair->up);
	buffer_free(&pair->log);
}

static bool
ends_with(const char *text, const char *end)
{
	const size_t n = strlen(text), end_n = strlen(end);

	return n >= end_n && strcmp(text + n - end_n, end) == 0;
}

static void
expect_failure(const struct wisp_handshake *handshake, uint8_t reason, const char *error)
{
	assert_int_equal(handshake->state, WISP_HANDSHAKE_FAILED);
	assert_int_equal(handshake->reason, reason);
	assert_string_equal(handshake->error, error);
}

/* ---- each combination ---- */

struct combination {
	enum asks asks;
	struct wisp_client_options client;
	bool right_password, right_key;
};

static bool
could_show(const struct combination *c, enum wisp_credentials credentials)
{
	if (credentials == WISP_CREDENTIALS_KEY)
		return c->asks & FOR_KEY && c->client.key != NULL;
	return c->asks & FOR_PASSWORD && c->client.user != NULL;
}

/* A key rather than a password, and nothing to strangers. */
static enum wisp_credentials
expected_credentials(const struct combination *c)
{
	if (!c->client.trusted)
		return WISP_CREDENTIALS_NONE;
	if (could_show(c, WISP_CREDENTIALS_KEY))
		return WISP_CREDENTIALS_KEY;
	return could_show(c, WISP_CREDENTIALS_PASSWORD) ? WISP_CREDENTIALS_PASSWORD : WISP_CREDENTIALS_NONE;
}

/* Why the client does not come in; 0 when it does. */
static uint8_t
expected_reason(const struct combination *c, enum wisp_credentials shown)
{
	if (shown == WISP_CREDENTIALS_KEY)
		return c->right_key ? 0 : WISP_REASON_BAD_SIGNATURE;
	if (shown == WISP_CREDENTIALS_PASSWORD)
		return c->right_password ? 0 : WISP_REASON_BAD_PASSWORD;
	return c->asks == FOR_NOTHING ? 0 : WISP_REASON_CREDENTIALS_REQUIRED;
}

static const char *const missing[] = {
	[FOR_PASSWORD] = "the server requires a user name and a password",
	[FOR_KEY] = "the server requires a key",
	[FOR_EITHER] = "the server requires a password or a key",
};

/* What the server knows of who the client says it is. */
static void
expect_identity(const struct wisp_identity *identity, const struct combination *c, enum wisp_credentials shown)
{
	assert_int_equal(identity->has_user, shown == WISP_CREDENTIALS_PASSWORD);
	assert_int_equal(identity->has_key, shown == WISP_CREDENTIALS_KEY);
	assert_int_equal(identity->is_key_known, shown == WISP_CREDENTIALS_KEY && c->right_key);
	if (identity->has_user) {
		assert_int_equal(identity->user_size, strlen(c->client.user));
		assert_memory_equal(identity->user, c->client.user, identity->user_size);
	}
	if (identity->is_key_known)
		assert_string_equal(identity->key.comment, "user@host");
}

static void
expect_outcome(const struct pair *pair, const struct combination *c, const char *log)
{
	const enum wisp_credentials shown = expected_credentials(c);
	const uint8_t reason = expected_reason(c, shown);

	assert_int_equal(pair->client.credentials, shown);
	assert_int_equal(pair->server.credentials, shown);
	expect_identity(&pair->server.identity, c, shown);
	switch (reason) {
	case 0:
		assert_int_equal(pair->client.state, WISP_HANDSHAKE_DONE);
		assert_int_equal(pair->server.state, WISP_HANDSHAKE_DONE);
		assert_true(ends_with(log, "CONTINUE 0 77\n"));
		break;
	case WISP_REASON_CREDENTIALS_REQUIRED:
		/* The client gives up: it has nothing that it could show. */
		expect_failure(&pair->client, reason, missing[c->asks]);
		expect_failure(&pair->server, WISP_REASON_INCOMPATIBLE, REFUSED);
		assert_true(ends_with(log, "CLOSE 0 0x04\n"));
		break;
	default:
		expect_failure(&pair->client, reason, REFUSED);
		expect_failure(&pair->server, reason, reason == 0xc0 ? "wrong user name or password" : "wrong key");
		assert_true(ends_with(log, reason == 0xc0 ? "CLOSE 0 0xc0\n" : "CLOSE 0 0xc1\n"));
		break;
	}
}

static bool
was_sent(const struct pair *pair, const void *p, size_t n)
{
	return n > 0 && memmem(pair->up.p, pair->up.n, p, n) != NULL;
}

/* Not a trace of what is not shown. */
static void
expect_sent(const struct pair *pair, const struct combination *c)
{
	const enum wisp_credentials shown = expected_credentials(c);
	const struct wisp_client_options *const client = &c->client;
	uint8_t signature[WISP_KEY_SIGNATURE_SIZE];

	assert_int_equal(password_checks, shown == WISP_CREDENTIALS_PASSWORD);
	assert_int_equal(key_lookups, shown == WISP_CREDENTIALS_KEY);
	assert_int_equal(pair->client.withheld,
		!client->trusted && (could_show(c, WISP_CREDENTIALS_KEY) || could_show(c, WISP_CREDENTIALS_PASSWORD)));
	if (client->user != NULL && shown != WISP_CREDENTIALS_PASSWORD)
		assert_false(was_sent(pair, client->user, strlen(client->user)));
	if (client->password != NULL && shown != WISP_CREDENTIALS_PASSWORD)
		assert_false(was_sent(pair, client->password, strlen(client->password)));
	if (client->key == NULL)
		return;
	assert_true(wisp_key_sign(client->key, pair->server.challenge, WISP_CHALLENGE_SIZE, signature));
	assert_int_equal(was_sent(pair, wisp_key_hash(client->key), WISP_KEY_HASH_SIZE), shown == WISP_CREDENTIALS_KEY);
	assert_int_equal(was_sent(pair, signature, sizeof signature), shown == WISP_CREDENTIALS_KEY);
}

static void
run_combination(const struct combination *c)
{
	const struct wisp_server_options server = server_that_asks(c->asks);
	struct pair pair;

	run(&pair, &c->client, &server, 2);
	expect_outcome(&pair, c, buffer_text(&pair.log));
	expect_sent(&pair, c);
	free_pair(&pair);
}

static void
each_combination_has_its_outcome(void **state)
{
	const struct wisp_key *const keys[] = {NULL, key_a, key_b};

	(void)state;
	for (unsigned i = 0; i < 4 * 2 * COUNT(keys) * COUNT(passwords); i++) {
		const size_t password = i / 8 % COUNT(passwords), key = i / 8 / COUNT(passwords);
		const struct combination c = {
			.asks = (enum asks)(i % 4),
			.client =
				{
					.versions = WISP_VERSION_2,
					.trusted = i / 4 % 2,
					.user = passwords[password].user,
					.password = passwords[password].password,
					.key = keys[key],
				},
			.right_password = passwords[password].right,
			.right_key = key == 1,
		};

		run_combination(&c);
	}
}

/* A client that speaks only v1 is refused at once, and one that knows more hears why. */
static void
v1_has_no_credentials(void **state)
{
	static const enum wisp_versions versions[] = {WISP_VERSION_AUTO, WISP_VERSION_1, WISP_VERSION_2};

	(void)state;
	for (unsigned i = 0; i < 3 * COUNT(versions); i++) {
		const struct wisp_client_options client = {.versions = versions[i % 3],
			.trusted = true,
			.user = "user",
			.password = PASSWORD,
			.key = key_a};
		const struct wisp_server_options server = server_that_asks((enum asks)(1 + i / 3));
		struct pair pair;

		run(&pair, &client, &server, 1);
		assert_string_equal(buffer_text(&pair.log), "CLOSE 0 0xc2\n");
		expect_failure(&pair.client, WISP_REASON_CREDENTIALS_REQUIRED, REFUSED);
		expect_failure(&pair.server, WISP_REASON_CREDENTIALS_REQUIRED,
			"a client that speaks only Wisp v1 cannot show credentials");
		assert_int_equal(pair.up.n, 0);
		free_pair(&pair);
	}
}

/* ---- servers that need no credentials, or say so in another way ---- */

struct offer {
	int password; /* -1: not offered; else whether it is required */
	int key;
	uint8_t algorithms;
};

/* Let a client hear an INFO. */
static void
hear_offer(struct wisp_handshake *client, const struct offer *offer)
{
	const uint8_t password[] = {(uint8_t)offer->password};
	const uint8_t key[] = {(uint8_t)offer->key, offer->algorithms, 'c', 'h', 'a'};
	uint8_t p[100] = {2, 0};
	size_t n = 2;

	if (offer->password >= 0)
		n += wisp_extension_write(p + n, &(struct wisp_extension){WISP_EXTENSION_PASSWORD, password, 1});
	if (offer->key >= 0)
		n += wisp_extension_write(p + n, &(struct wisp_extension){WISP_EXTENSION_KEY, key, sizeof key});
	wisp_handshake_receive(client, &(struct wisp_packet){.type = WISP_INFO, .data = p, .size = n});
}

#define NONE WISP_CREDENTIALS_NONE
#define SHOWS_PASSWORD WISP_CREDENTIALS_PASSWORD
#define SHOWS_KEY WISP_CREDENTIALS_KEY

static void
clients_show_what_is_required(void **state)
{
	static const struct {
		struct offer offer;
		/* By a client with neither, a password, a key, both. */
		enum wisp_credentials shown[4];
		const char *error[4];
	} cases[] = {
		{{-1, -1, 0}, {NONE, NONE, NONE, NONE}, {NULL}},
		{{0, -1, 0}, {NONE, SHOWS_PASSWORD, NONE, SHOWS_PASSWORD}, {NULL}},
		{{-1, 0, 1}, {NONE, NONE, SHOWS_KEY, SHOWS_KEY}, {NULL}},
		{{0, 0, 1}, {NONE, SHOWS_PASSWORD, SHOWS_KEY, SHOWS_KEY}, {NULL}},
		{{1, 0, 1}, {NONE, SHOWS_PASSWORD, SHOWS_KEY, SHOWS_PASSWORD},
			{"the server requires a user name and a password"}},
		{{0, 1, 1}, {NONE, SHOWS_PASSWORD, SHOWS_KEY, SHOWS_KEY}, {"the server requires a key"}},
		{{1, 1, 1}, {NONE, SHOWS_PASSWORD, SHOWS_KEY, SHOWS_KEY}, {"the server requires a password or a key"}},
		{{0xff, -1, 0}, {NONE, SHOWS_PASSWORD, NONE, SHOWS_PASSWORD},
			{"the server requires a user name and a password", NULL,
				"the server requires a user name and a password"}},
		/* Algorithms that only others have. */
		{{-1, 0, 0}, {NONE, NONE, NONE, NONE}, {NULL}},
		{{0, 0, 0xfe}, {NONE, SHOWS_PASSWORD, NONE, SHOWS_PASSWORD}, {NULL}},
		{{-1, 0, 0xff}, {NONE, NONE, SHOWS_KEY, SHOWS_KEY}, {NULL}},
		{{-1, 2, 0xfe}, {NONE, NONE, NONE, NONE},
			{"the server requires a key", "the server requires a key", "the server requires a key",
				"the server requires a key"}},
	};

	(void)state;
	for (unsigned i = 0; i < 8 * COUNT(cases); i++) {
		const unsigned has = i % 4;
		const bool trusted = i / 4 % 2;
		const struct offer *const offer = &cases[i / 8].offer;
		const struct wisp_client_options options = {.trusted = trusted,
			.user = has & 1 ? "user" : NULL,
			.password = PASSWORD,
			.key = has & 2 ? key_a : NULL};
		const enum wisp_credentials could = cases[i / 8].shown[has];
		/* Whoever withholds what is optional goes on without; what is required is missed as if it were not
		 * there. */
		const bool required = offer->password > 0 || offer->key > 0;
		const char *const error = cases[i / 8].error[trusted || could == NONE ? has : 0];
		struct wisp_handshake client;

		wisp_handshake_init_client(&client, &options);
		hear_offer(&client, offer);
		assert_int_equal(client.credentials, trusted ? could : NONE);
		assert_int_equal(client.withheld, !trusted && could != NONE);
		if (!required)
			assert_null(error);
		if (error == NULL) {
			assert_int_equal(client.state, WISP_HANDSHAKE_CREDIT);
			assert_null(client.error);
		} else {
			expect_failure(&client, WISP_REASON_CREDENTIALS_REQUIRED, error);
		}
	}
}

/* ---- clients that show something else ---- */

/* Let a server that asks for this hear the client's extensions. The key's have a place for the signature. */
static void
hear_answers(struct wisp_handshake *server, const struct wisp_server_options *options,
	const struct wisp_extension *answers, size_t count)
{
	uint8_t p[500] = {2, 0}, key[1 + WISP_KEY_HASH_SIZE + WISP_KEY_SIGNATURE_SIZE] = {1};
	size_t n = 2;

	wisp_handshake_init_server(server, options, 2);
	for (size_t i = 0; i < count; i++) {
		struct wisp_extension answer = answers[i];

		if (answer.id == WISP_EXTENSION_KEY) {
			memcpy(key + 1, known_key.hash, WISP_KEY_HASH_SIZE);
			assert_true(wisp_key_sign(answer.data[0] == 'a' ? key_a : key_b, server->challenge,
				WISP_CHALLENGE_SIZE, key + 1 + WISP_KEY_HASH_SIZE));
			answer.data = key;
			answer.size = sizeof key;
		}
		n += wisp_extension_write(p + n, &answer);
	}
	wisp_handshake_receive(server, &(struct wisp_packet){.type = WISP_INFO, .data = p, .size = n});
}

#define RIGHT_PASSWORD WISP_EXTENSION_PASSWORD, BYTES("\x04user" PASSWORD)
#define WRONG_PASSWORD WISP_EXTENSION_PASSWORD, BYTES("\x04userwrong")
/* The hash of key A, and its signature or one of key B. */
#define RIGHT_KEY WISP_EXTENSION_KEY, BYTES("a")
#define WRONG_KEY WISP_EXTENSION_KEY, BYTES("b")
#define UNKNOWN 0x7f, BYTES("\x04userwrong")

static void
servers_look_at_all_that_is_shown(void **state)
{
	static const struct {
		enum asks asks;
		struct wisp_extension answers[3];
		size_t count;
		uint8_t reason;
	} cases[] = {
		{FOR_PASSWORD, {{0}}, 0, WISP_REASON_CREDENTIALS_REQUIRED},
		{FOR_KEY, {{0}}, 0, WISP_REASON_CREDENTIALS_REQUIRED},
		{FOR_EITHER, {{0}}, 0, WISP_REASON_CREDENTIALS_REQUIRED},
		{FOR_EITHER, {{UNKNOWN}}, 1, WISP_REASON_CREDENTIALS_REQUIRED},
		{FOR_NOTHING, {{WRONG_PASSWORD}, {WRONG_KEY}}, 2, 0},
		{FOR_PASSWORD, {{RIGHT_PASSWORD}}, 1, 0},
		{FOR_KEY, {{RIGHT_KEY}}, 1, 0},
		{FOR_EITHER, {{RIGHT_PASSWORD}}, 1, 0},
		{FOR_EITHER, {{RIGHT_KEY}}, 1, 0},
		{FOR_EITHER, {{RIGHT_KEY}, {RIGHT_PASSWORD}}, 2, 0},
		{FOR_EITHER, {{WRONG_PASSWORD}, {RIGHT_KEY}}, 2, WISP_REASON_BAD_PASSWORD},
		{FOR_EITHER, {{RIGHT_PASSWORD}, {WRONG_KEY}}, 2, WISP_REASON_BAD_SIGNATURE},
		/* What was not asked for does not help, and does no harm. */
		{FOR_KEY, {{RIGHT_PASSWORD}}, 1, WISP_REASON_CREDENTIALS_REQUIRED},
		{FOR_PASSWORD, {{RIGHT_KEY}}, 1, WISP_REASON_CREDENTIALS_REQUIRED},
		{FOR_KEY, {{WRONG_PASSWORD}, {RIGHT_KEY}}, 2, 0},
		{FOR_PASSWORD, {{WRONG_KEY}, {RIGHT_PASSWORD}}, 2, 0},
		/* The first of a kind counts. */
		{FOR_PASSWORD, {{RIGHT_PASSWORD}, {WRONG_PASSWORD}}, 2, 0},
		{FOR_PASSWORD, {{WRONG_PASSWORD}, {RIGHT_PASSWORD}}, 2, WISP_REASON_BAD_PASSWORD},
		{FOR_KEY, {{RIGHT_KEY}, {WRONG_KEY}}, 2, 0},
		{FOR_KEY, {{WRONG_KEY}, {RIGHT_KEY}}, 2, WISP_REASON_BAD_SIGNATURE},
		{FOR_PASSWORD, {{UNKNOWN}, {RIGHT_PASSWORD}, {UNKNOWN}}, 3, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct wisp_server_options options = server_that_asks(cases[i].asks);
		struct wisp_handshake server;

		hear_answers(&server, &options, cases[i].answers, cases[i].count);
		if (cases[i].reason == 0) {
			assert_int_equal(server.state, WISP_HANDSHAKE_DONE);
		} else {
			expect_failure(&server, cases[i].reason, wisp_reason_text(cases[i].reason));
			assert_int_equal(server.close_reason, cases[i].reason);
		}
	}
}

/* A challenge is new for each connection, so that what was sent in one opens no other. */
static void
signatures_cannot_be_used_twice(void **state)
{
	const struct wisp_client_options options = {.versions = WISP_VERSION_2, .trusted = true, .key = key_a};
	const struct wisp_server_options server_options = server_that_asks(FOR_KEY);
	struct wisp_packet replay = {.type = WISP_INFO};
	struct wisp_handshake again;
	struct pair pair;

	(void)state;
	run(&pair, &options, &server_options, 2);
	assert_int_equal(pair.server.state, WISP_HANDSHAKE_DONE);
	wisp_handshake_init_server(&again, &server_options, 2);
	assert_memory_not_equal(again.challenge, pair.server.challenge, WISP_CHALLENGE_SIZE);
	replay.data = pair.up.p + WISP_PACKET_HEADER_SIZE;
	replay.size = pair.up.n - WISP_PACKET_HEADER_SIZE;
	wisp_handshake_receive(&again, &replay);
	expect_failure(&again, WISP_REASON_BAD_SIGNATURE, "wrong key");
	free_pair(&pair);
}

static enum wisp_password
cannot_tell(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	(void)arg, (void)user, (void)user_size, (void)password, (void)password_size;
	return WISP_PASSWORD_UNKNOWN;
}

/* Whoever is not let in because there is no memory is not told that the password is wrong. */
static void
passwords_that_cannot_be_checked(void **state)
{
	const struct wisp_server_options options = {.credit = 1, .check_password = cannot_tell};
	const struct wisp_extension right = {RIGHT_PASSWORD};
	struct wisp_handshake server;

	(void)state;
	hear_answers(&server, &options, &right, 1);
	expect_failure(&server, WISP_REASON_UNKNOWN, "credentials cannot be verified");
	assert_int_equal(server.close_reason, WISP_REASON_UNKNOWN);
}

/* Whatever comes behind a refusal: it stands. */
static void
failures_are_for_good(void **state)
{
	const struct wisp_client_options options = {.user = "user", .password = PASSWORD};
	const struct wisp_server_options server_options = server_that_asks(FOR_PASSWORD);
	const struct wisp_packet credit = {.type = WISP_CONTINUE, .credit = 5};
	const struct wisp_extension right = {RIGHT_PASSWORD};
	struct wisp_handshake client, server;

	(void)state;
	wisp_handshake_init_client(&client, &options);
	hear_offer(&client, &(struct offer){1, -1, 0});
	for (int i = 0; i < 3; i++) {
		expect_failure(&client, WISP_REASON_CREDENTIALS_REQUIRED, missing[FOR_PASSWORD]);
		if (i == 0)
			wisp_handshake_receive(&client, &credit);
		else
			hear_offer(&client, &(struct offer){-1, -1, 0});
	}
	hear_answers(&server, &server_options, &right, 0);
	wisp_handshake_receive(&server, &(struct wisp_packet){.type = WISP_INFO, .data = (uint8_t[]){2, 0}, .size = 2});
	expect_failure(&server, WISP_REASON_CREDENTIALS_REQUIRED, "credentials required");
}

/* A client that does not wait for the server's INFO is still told what was wrong with its own, behind it. */
static void
refusals_come_behind_the_info(void **state)
{
	const struct wisp_server_options options = server_that_asks(FOR_PASSWORD);
	const struct wisp_extension wrong = {WRONG_PASSWORD};
	struct pair pair = {0};

	(void)state;
	wisp_handshake_init_client(&pair.client, &peer_client_options);
	hear_answers(&pair.server, &options, &wrong, 1);
	say(&pair, &pair.server, &pair.client);
	assert_true(ends_with(buffer_text(&pair.log), "\nCLOSE 0 0xc0\n"));
	assert_memory_equal(pair.log.p, "INFO 0 ", 7);
	free_pair(&pair);
}

/* ---- sessions ---- */

static void
expect_session(const struct peer *peer, const char *error, uint8_t reason)
{
	if (error == NULL)
		assert_null(wisp_session_error(peer->session));
	else
		assert_string_equal(wisp_session_error(peer->session), error);
	assert_int_equal(wisp_session_handshake(peer->session)->reason, reason);
}

#define SERVER_REFUSED(why) "the server refused the connection (" why ")"
#define CLIENT_REFUSED "the client refused the connection (incompatible extensions)"

/* What is wrong is said in a CLOSE before the WebSocket's close frame, and both sessions say it to their callers. */
static void
sessions_say_why(void **state)
{
	const struct {
		enum asks asks;
		struct wisp_client_options client;
		const char *client_error, *server_error;
		uint8_t client_reason, server_reason;
		const char *client_end, *server_end;
		const char *events;
	} cases[] = {
		{FOR_PASSWORD, {.trusted = true, .user = "user", .password = PASSWORD}, NULL, NULL, 0, 0, ")\n",
			"CONTINUE 0 77\n", "motd hello\nready\n"},
		{FOR_KEY, {.trusted = true, .key = key_a}, NULL, NULL, 0, 0, "]\n", "CONTINUE 0 77\n",
			"motd hello\nready\n"},
		{FOR_PASSWORD, {.trusted = true, .user = "user", .password = "wrong"},
			SERVER_REFUSED("wrong user name or password"), "wrong user name or password", 0xc0, 0xc0,
			"END 1000\n", "CLOSE 0 0xc0\nEND 1000\n", "motd hello\n"},
		{FOR_EITHER, {.trusted = true, .key = key_b}, SERVER_REFUSED("wrong key"), "wrong key", 0xc1, 0xc1,
			"END 1000\n", "CLOSE 0 0xc1\nEND 1000\n", "motd hello\n"},
		{FOR_EITHER, {.user = "user", .password = PASSWORD}, "the server requires a password or a key",
			CLIENT_REFUSED, 0xc2, 0x04, "CLOSE 0 0x04\nEND 1000\n", "END 1000\n", "motd hello\n"},
	};

	(void)state;
	for (unsigned i = 0; i < 10 * COUNT(cases); i++) {
		const size_t c = i / 10;
		struct wisp_server_options options = server_that_asks(cases[c].asks);
		struct peer *client, *server;

		options.motd = "hello";
		client = peer_new_client_with(&cases[c].client);
		server = peer_new_server_with(&options, 2);
		peer_exchange(client, server, i % 10, WISP_PULL_ROOM);
		expect_session(client, cases[c].client_error, cases[c].client_reason);
		expect_session(server, cases[c].server_error, cases[c].server_reason);
		assert_true(ends_with(peer_log(client), cases[c].client_end));
		assert_true(ends_with(peer_log(server), cases[c].server_end));
		assert_string_equal(peer_events(client), cases[c].events);
		assert_int_equal(wisp_session_version(client->session), cases[c].client_error == NULL ? 2 : 0);
		peer_free(client);
		peer_free(server);
	}
}

/* Such a session is over before it began: the caller, who has no session yet, is not woken for it. */
static void
sessions_of_v1_are_over_at_once(void **state)
{
	const struct wisp_server_options options = server_that_asks(FOR_PASSWORD);
	struct peer *const server = peer_new_server_with(&options, 1);
	struct peer *const client = peer_new_client(WISP_VERSION_AUTO);

	(void)state;
	expect_session(
		server, "a client that speaks only Wisp v1 cannot show credentials", WISP_REASON_CREDENTIALS_REQUIRED);
	assert_int_equal(server->wakes, 0);
	assert_true(wisp_session_pending(server->session));
	assert_false(peer_hear_connect(server, 1, "host"));
	assert_string_equal(peer_events(server), "");
	peer_exchange(client, server, 1, WISP_PULL_ROOM);
	assert_string_equal(peer_log(server), "CLOSE 0 0xc2\nEND 1000\n");
	assert_string_equal(peer_log(client), "END 1000\n");
	expect_session(client, SERVER_REFUSED("credentials required"), WISP_REASON_CREDENTIALS_REQUIRED);
	assert_string_equal(peer_events(client), "");
	peer_free(client);
	peer_free(server);
}

/* A packet of the handshake waits for room, and so does everything behind it. */
static void
handshakes_wait_for_room(void **state)
{
	const size_t room = WISP_FRAME_HEADER_MAX + WISP_HANDSHAKE_PACKET_MAX;
	const struct wisp_server_options options = server_that_asks(FOR_NOTHING);
	struct peer *const server = peer_new_server_with(&options, 1);

	(void)state;
	assert_string_equal(peer_pull(server, WISP_PULL_MIN), "");
	assert_string_equal(peer_pull(server, room - 1), "");
	assert_true(wisp_session_pending(server->session));
	assert_string_equal(peer_pull(server, room), "CONTINUE 0 77\n");
	assert_true(WISP_PULL_ROOM >= room);
	peer_free(server);
}

static void
do_nothing(void *arg)
{
	(void)arg;
}

/* The callbacks for the message of the day and for pongs may be missing. */
static void
some_callbacks_may_be_missing(void **state)
{
	static const struct wisp_session_callbacks callbacks = {.ready = do_nothing, .wake = do_nothing};
	uint8_t heard[] = "\x82\x0d\x05\0\0\0\0\x02\0\x04\x01\0\0\0m\x8a\x04\x01\0\0\0\x82\x09\x03\0\0\0\0\x05\0\0\0";
	uint8_t p[WISP_PULL_ROOM];
	struct wisp_session *const session = wisp_session_new_client(&peer_client_options, &callbacks, NULL);

	(void)state;
	assert_non_null(session);
	wisp_session_ping(session);
	assert_true(wisp_session_pull(session, p, sizeof p, sizeof p, 1) > 0);
	assert_true(wisp_session_feed(session, heard, sizeof heard - 1));
	assert_int_equal(wisp_session_version(session), 2);
	wisp_session_free(session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_combination_has_its_outcome),
		cmocka_unit_test(v1_has_no_credentials),
		cmocka_unit_test(clients_show_what_is_required),
		cmocka_unit_test(servers_look_at_all_that_is_shown),
		cmocka_unit_test(signatures_cannot_be_used_twice),
		cmocka_unit_test(passwords_that_cannot_be_checked),
		cmocka_unit_test(failures_are_for_good),
		cmocka_unit_test(refusals_come_behind_the_info),
		cmocka_unit_test(sessions_say_why),
		cmocka_unit_test(sessions_of_v1_are_over_at_once),
		cmocka_unit_test(handshakes_wait_for_room),
		cmocka_unit_test(some_callbacks_may_be_missing),
	};

	return cmocka_run_group_tests_name("credentials", tests, read_keys, free_keys);
}
