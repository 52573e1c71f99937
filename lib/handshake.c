#include <wisp/handshake.h>

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "bytes.h"

#define INFO_HEADER_SIZE 2
#define MAJOR 2
#define MINOR 0

/* The version of our extension 0xf1 that we speak. */
#define END_OF_DATA_VERSION 1

/* The bit of the algorithm mask. */
#define ED25519 0x01
/* A server's key extension begins with whether it is required and the algorithms; a client's with the algorithm. */
#define KEY_OFFER_HEADER_SIZE 2
#define KEY_ANSWER_SIZE (1 + WISP_KEY_HASH_SIZE + WISP_KEY_SIGNATURE_SIZE)
#define PASSWORD_ANSWER_MAX (1 + WISP_USER_MAX + WISP_PASSWORD_MAX)

bool
wisp_extension_next(const uint8_t **p, size_t *n, struct wisp_extension *extension)
{
	uint32_t size;

	if (*n < WISP_EXTENSION_HEADER_SIZE)
		return false;
	size = load_le32(*p + 1);
	if (size > *n - WISP_EXTENSION_HEADER_SIZE)
		return false;
	extension->id = (*p)[0];
	extension->data = *p + WISP_EXTENSION_HEADER_SIZE;
	extension->size = size;
	*p += WISP_EXTENSION_HEADER_SIZE + size;
	*n -= WISP_EXTENSION_HEADER_SIZE + size;
	return true;
}

size_t
wisp_extension_write(uint8_t *p, const struct wisp_extension *extension)
{
	p[0] = extension->id;
	store_le32(p + 1, (uint32_t)extension->size);
	if (extension->size > 0)
		memcpy(p + WISP_EXTENSION_HEADER_SIZE, extension->data, extension->size);
	return WISP_EXTENSION_HEADER_SIZE + extension->size;
}

static void
fail(struct wisp_handshake *handshake, const char *error)
{
	handshake->state = WISP_HANDSHAKE_FAILED;
	handshake->error = error;
}

/* End the handshake with a CLOSE. `reason` is what the caller is told, `close_reason` what the other side is. */
static void
refuse(struct wisp_handshake *handshake, uint8_t reason, uint8_t close_reason, const char *error)
{
	fail(handshake, error);
	handshake->reason = reason;
	handshake->close_reason = close_reason;
	handshake->send_close = true;
}

static bool
asks_for_credentials(const struct wisp_server_options *options)
{
	return options->check_password != NULL || options->find_key != NULL;
}

void
wisp_handshake_init_client(struct wisp_handshake *handshake, const struct wisp_client_options *options)
{
	memset(handshake, 0, sizeof *handshake);
	handshake->state = WISP_HANDSHAKE_FIRST;
	handshake->client = options;
}

void
wisp_handshake_init_server(struct wisp_handshake *handshake, const struct wisp_server_options *options, uint8_t version)
{
	memset(handshake, 0, sizeof *handshake);
	handshake->server = options;
	handshake->version = version;
	handshake->credit = options->credit;
	if (version < MAJOR) {
		handshake->udp = options->udp;
		handshake->send_credit = true;
		handshake->state = WISP_HANDSHAKE_DONE;
	} else {
		handshake->send_info = true;
		handshake->state = WISP_HANDSHAKE_INFO;
	}
	if (version < MAJOR && asks_for_credentials(options)) {
		handshake->send_credit = false;
		refuse(handshake, WISP_REASON_CREDENTIALS_REQUIRED, WISP_REASON_CREDENTIALS_REQUIRED,
			"a client that speaks only Wisp v1 cannot show credentials");
	}
	if (handshake->send_info && options->find_key != NULL &&
		RAND_bytes(handshake->challenge, sizeof handshake->challenge) != 1) {
		handshake->send_info = false;
		refuse(handshake, WISP_REASON_UNKNOWN, WISP_REASON_UNKNOWN, "no randomness for a challenge");
	}
}

/* Find an extension among those of an INFO. The first of its kind counts. */
static bool
find_extension(const struct wisp_packet *info, enum wisp_extension_id id, struct wisp_extension *extension)
{
	const uint8_t *p = info->data + INFO_HEADER_SIZE;
	size_t n = info->size - INFO_HEADER_SIZE;

	while (wisp_extension_next(&p, &n, extension))
		if (extension->id == id)
			return true;
	return false;
}

static bool
has_extension(const struct wisp_packet *info, enum wisp_extension_id id)
{
	struct wisp_extension extension;

	return find_extension(info, id, &extension);
}

/*
 * The version of one of our own extensions that both sides speak: the lower one. 0 when the other side has not named
 * it. Later versions may add to the payload.
 */
static uint8_t
agree_version(const struct wisp_packet *info, enum wisp_extension_id id, uint8_t version)
{
	struct wisp_extension extension;

	if (!find_extension(info, id, &extension) || extension.size < 1)
		return 0;
	return extension.data[0] < version ? extension.data[0] : version;
}

static bool
agree_on_end(const struct wisp_packet *info)
{
	return agree_version(info, WISP_EXTENSION_END_OF_DATA, END_OF_DATA_VERSION) != 0;
}

/* What is wrong with the form of an INFO, or NULL. Extensions that we do not know are not ours to judge. */
static const char *
check_info(const struct wisp_packet *info)
{
	const uint8_t *p = info->data + INFO_HEADER_SIZE;
	struct wisp_extension extension;
	size_t n;

	if (info->size < INFO_HEADER_SIZE)
		return "an INFO packet is too short";
	if (info->data[0] < MAJOR)
		return "an INFO packet names a version below 2";
	n = info->size - INFO_HEADER_SIZE;
	while (wisp_extension_next(&p, &n, &extension))
		;
	return n == 0 ? NULL : "an INFO packet has an extension that runs over its end";
}

/* ---- the client's side ---- */

/* What a server's INFO says of credentials. */
struct offer {
	bool password;
	bool password_required;
	bool key; /* with an algorithm that we have */
	bool key_required;
	const uint8_t *challenge;
	size_t challenge_size;
};

/* Read it. Returns false when it is malformed. */
static bool
read_offer(const struct wisp_packet *info, struct offer *offer)
{
	struct wisp_extension extension;

	memset(offer, 0, sizeof *offer);
	if (find_extension(info, WISP_EXTENSION_PASSWORD, &extension)) {
		if (extension.size < 1)
			return false;
		offer->password = true;
		offer->password_required = extension.data[0] != 0;
	}
	if (find_extension(info, WISP_EXTENSION_KEY, &extension)) {
		if (extension.size <= KEY_OFFER_HEADER_SIZE)
			return false;
		offer->key = extension.data[1] & ED25519;
		offer->key_required = extension.data[0] != 0;
		offer->challenge = extension.data + KEY_OFFER_HEADER_SIZE;
		offer->challenge_size = extension.size - KEY_OFFER_HEADER_SIZE;
	}
	return true;
}

/* Which credentials to show: what is required rather than what is not, and a key rather than a password. */
static enum wisp_credentials
choose_credentials(const struct wisp_client_options *client, const struct offer *offer)
{
	const bool key = offer->key && client->key != NULL;
	const bool password = offer->password && client->user != NULL;

	if (key && (offer->key_required || !(password && offer->password_required)))
		return WISP_CREDENTIALS_KEY;
	return password ? WISP_CREDENTIALS_PASSWORD : WISP_CREDENTIALS_NONE;
}

static const char *
missing_credentials(const struct offer *offer)
{
	if (offer->password_required && offer->key_required)
		return "the server requires a password or a key";
	return offer->key_required ? "the server requires a key" : "the server requires a user name and a password";
}

/* Settle which credentials are shown, if any. Returns false when that ends the handshake. */
static bool
prepare_credentials(struct wisp_handshake *handshake, const struct offer *offer)
{
	const struct wisp_client_options *client = handshake->client;
	const bool required = offer->password_required || offer->key_required;

	handshake->credentials = choose_credentials(client, offer);
	handshake->withheld = handshake->credentials != WISP_CREDENTIALS_NONE && !client->trusted;
	if (handshake->withheld)
		handshake->credentials = WISP_CREDENTIALS_NONE;
	if (required && handshake->credentials == WISP_CREDENTIALS_NONE) {
		refuse(handshake, WISP_REASON_CREDENTIALS_REQUIRED, WISP_REASON_INCOMPATIBLE,
			missing_credentials(offer));
		return false;
	}
	if (handshake->credentials == WISP_CREDENTIALS_KEY &&
		!wisp_key_sign(client->key, offer->challenge, offer->challenge_size, handshake->signature)) {
		/* There is nothing wrong with the key. */
		refuse(handshake, WISP_REASON_UNKNOWN, WISP_REASON_UNKNOWN, "the server's challenge cannot be signed");
		return false;
	}
	return true;
}

static void
receive_server_info(struct wisp_handshake *handshake, const struct wisp_packet *info)
{
	const struct wisp_client_options *client = handshake->client;
	struct wisp_extension motd;
	struct offer offer;

	if (!read_offer(info, &offer)) {
		fail(handshake, "an INFO packet has an extension that is too short");
		return;
	}
	handshake->udp = client->udp && has_extension(info, WISP_EXTENSION_UDP);
	handshake->confirmation = client->confirm && has_extension(info, WISP_EXTENSION_OPEN_CONFIRMATION);
	handshake->end_of_data = client->end_of_data && agree_on_end(info);
	handshake->motd_offered = find_extension(info, WISP_EXTENSION_MOTD, &motd);
	if (handshake->motd_offered) {
		handshake->motd = motd.data;
		handshake->motd_size = motd.size;
	}
	if (!prepare_credentials(handshake, &offer))
		return;
	handshake->version = MAJOR;
	handshake->send_info = true;
	handshake->state = WISP_HANDSHAKE_CREDIT;
}

static void
receive_credit(struct wisp_handshake *handshake, const struct wisp_packet *packet)
{
	handshake->credit = packet->credit;
	if (handshake->state == WISP_HANDSHAKE_FIRST) {
		handshake->version = 1;
		handshake->udp = handshake->client->udp;
	}
	if (handshake->version == 1 && handshake->client->versions == WISP_VERSION_2) {
		handshake->fault = WISP_FAULT_VERSION;
		fail(handshake, "the server speaks only Wisp v1");
	} else {
		handshake->state = WISP_HANDSHAKE_DONE;
	}
}

/* ---- the server's side ---- */

/* Ask the server about a user name and the password behind it, at `text`. */
static enum wisp_password
ask_about(struct wisp_handshake *handshake, const char *text, size_t user_size, size_t password_size)
{
	const struct wisp_server_options *server = handshake->server;
	struct wisp_identity *identity = &handshake->identity;

	identity->has_user = true;
	identity->user_size = user_size;
	memcpy(identity->user, text, user_size);
	return server->check_password(server->arg, text, user_size, text + user_size, password_size);
}

static enum wisp_password
check_password(struct wisp_handshake *handshake, const struct wisp_extension *extension)
{
	const char *text = (const char *)extension->data;
	enum wisp_password verdict = WISP_PASSWORD_WRONG;
	size_t user_size;

	if (extension->size < 1 || extension->size > PASSWORD_ANSWER_MAX)
		return WISP_PASSWORD_WRONG;
	user_size = extension->data[0];
	if (user_size <= extension->size - 1)
		verdict = ask_about(handshake, text + 1, user_size, extension->size - 1 - user_size);
	/* wisp-js 0.5 and wisp-mux 5.1 put the password's size, in two bytes, behind the user name's. */
	if (verdict != WISP_PASSWORD_WRONG || extension->size < 3 ||
		extension->size != 3 + user_size + load_le16(extension->data + 1))
		return verdict;
	return ask_about(handshake, text + 3, user_size, load_le16(extension->data + 1));
}

/* Why to refuse who has shown this password, or 0. */
static uint8_t
reason_for_password(enum wisp_password verdict)
{
	switch (verdict) {
	case WISP_PASSWORD_RIGHT:
		return 0;
	case WISP_PASSWORD_WRONG:
		return WISP_REASON_BAD_PASSWORD;
	case WISP_PASSWORD_UNKNOWN:
		break;
	}
	return WISP_REASON_UNKNOWN; /* a client would not try again with a password that is called wrong */
}

/* Returns 0 when it is right, or the reason to refuse it. */
static uint8_t
check_signature(struct wisp_handshake *handshake, const struct wisp_extension *extension)
{
	const uint8_t *hash = extension->data + 1;
	struct wisp_identity *identity = &handshake->identity;
	const struct wisp_public_key *key;

	if (extension->size != KEY_ANSWER_SIZE || extension->data[0] != ED25519)
		return WISP_REASON_BAD_SIGNATURE;
	identity->has_key = true;
	memcpy(identity->key.hash, hash, WISP_KEY_HASH_SIZE);
	key = handshake->server->find_key(handshake->server->arg, hash);
	if (key == NULL)
		return WISP_REASON_BAD_SIGNATURE;
	identity->is_key_known = true;
	identity->key = *key;
	switch (wisp_public_key_verify(key, handshake->challenge, sizeof handshake->challenge,
		hash + WISP_KEY_HASH_SIZE, WISP_KEY_SIGNATURE_SIZE)) {
	case WISP_SIGNATURE_RIGHT:
		return 0;
	case WISP_SIGNATURE_WRONG:
		return WISP_REASON_BAD_SIGNATURE;
	case WISP_SIGNATURE_UNKNOWN:
		break;
	}
	return WISP_REASON_UNKNOWN; /* a client would not try again with a key that is called wrong */
}

/* Look at the client's credentials. Returns 0 when it may come in, or the reason why it may not. */
static uint8_t
check_credentials(struct wisp_handshake *handshake, const struct wisp_packet *info)
{
	const struct wisp_server_options *server = handshake->server;
	struct wisp_extension extension;
	uint8_t reason;

	if (!asks_for_credentials(server))
		return 0;
	if (server->find_key != NULL && find_extension(info, WISP_EXTENSION_KEY, &extension)) {
		handshake->credentials = WISP_CREDENTIALS_KEY;
		reason = check_signature(handshake, &extension);
		if (reason != 0)
			return reason;
	}
	if (server->check_password != NULL && find_extension(info, WISP_EXTENSION_PASSWORD, &extension)) {
		handshake->credentials = WISP_CREDENTIALS_PASSWORD;
		reason = reason_for_password(check_password(handshake, &extension));
		if (reason != 0)
			return reason;
	}
	return handshake->credentials != WISP_CREDENTIALS_NONE ? 0 : WISP_REASON_CREDENTIALS_REQUIRED;
}

static void
receive_client_info(struct wisp_handshake *handshake, const struct wisp_packet *info)
{
	const uint8_t reason = check_credentials(handshake, info);

	if (reason != 0) {
		refuse(handshake, reason, reason,
			reason == WISP_REASON_UNKNOWN ? "credentials cannot be verified" : wisp_reason_text(reason));
		return;
	}
	handshake->udp = handshake->server->udp && has_extension(info, WISP_EXTENSION_UDP);
	handshake->confirmation = has_extension(info, WISP_EXTENSION_OPEN_CONFIRMATION);
	handshake->end_of_data = handshake->server->end_of_data && agree_on_end(info);
	handshake->send_credit = true;
	handshake->state = WISP_HANDSHAKE_DONE;
}

/* ---- both ---- */

static void
receive_info(struct wisp_handshake *handshake, const struct wisp_packet *info)
{
	const char *wrong = check_info(info);

	if (wrong != NULL)
		fail(handshake, wrong);
	else if (handshake->client == NULL)
		receive_client_info(handshake, info);
	else if (handshake->client->versions != WISP_VERSION_1)
		receive_server_info(handshake, info);
	else {
		handshake->fault = WISP_FAULT_VERSION;
		fail(handshake, "the server speaks Wisp v2, and was asked for v1");
	}
}

bool
wisp_handshake_receive_foreign(struct wisp_handshake *handshake, const char *error)
{
	if (handshake->client == NULL || handshake->state != WISP_HANDSHAKE_FIRST)
		return false;
	handshake->fault = WISP_FAULT_NOT_WISP;
	fail(handshake, error);
	return true;
}

void
wisp_handshake_receive(struct wisp_handshake *handshake, const struct wisp_packet *packet)
{
	const enum wisp_handshake_state state = handshake->state;

	handshake->motd = NULL;
	if (state == WISP_HANDSHAKE_FAILED)
		return;
	if (packet->stream_id != WISP_CONNECTION) {
		if (!wisp_handshake_receive_foreign(handshake, "the server begins with a stream's packet"))
			fail(handshake, "a stream's packet came before the end of the handshake");
	} else if (packet->type == WISP_CLOSE) {
		handshake->reason = packet->reason != 0 ? packet->reason : WISP_REASON_UNKNOWN;
		fail(handshake, "the other side refused the connection");
	} else if (packet->type == WISP_INFO && (state == WISP_HANDSHAKE_FIRST || state == WISP_HANDSHAKE_INFO)) {
		receive_info(handshake, packet);
	} else if (packet->type == WISP_CONTINUE && handshake->client != NULL) {
		receive_credit(handshake, packet);
	} else if (!wisp_handshake_receive_foreign(handshake, "the server begins with neither INFO nor CONTINUE")) {
		fail(handshake, "a packet came that has no place in the handshake");
	}
}

/* ---- what is sent ---- */

static size_t
write_extension(uint8_t *p, enum wisp_extension_id id, const void *data, size_t size)
{
	return wisp_extension_write(p, &(struct wisp_extension){(uint8_t)id, data, size});
}

static size_t
write_version(uint8_t *p, enum wisp_extension_id id, uint8_t version)
{
	return write_extension(p, id, &version, sizeof version);
}

static size_t
write_password(const struct wisp_client_options *client, uint8_t *p)
{
	const size_t user_size = strnlen(client->user, WISP_USER_MAX);
	const size_t password_size = client->password != NULL ? strnlen(client->password, WISP_PASSWORD_MAX) : 0;
	uint8_t data[PASSWORD_ANSWER_MAX];
	size_t n;

	data[0] = (uint8_t)user_size;
	memcpy(data + 1, client->user, user_size);
	if (password_size > 0)
		memcpy(data + 1 + user_size, client->password, password_size);
	n = write_extension(p, WISP_EXTENSION_PASSWORD, data, 1 + user_size + password_size);
	OPENSSL_cleanse(data, sizeof data);
	return n;
}

static size_t
write_signature(const struct wisp_handshake *handshake, uint8_t *p)
{
	uint8_t data[KEY_ANSWER_SIZE] = {ED25519};

	memcpy(data + 1, wisp_key_hash(handshake->client->key), WISP_KEY_HASH_SIZE);
	memcpy(data + 1 + WISP_KEY_HASH_SIZE, handshake->signature, WISP_KEY_SIGNATURE_SIZE);
	return write_extension(p, WISP_EXTENSION_KEY, data, sizeof data);
}

/* A client names what both have, and shows its credentials. */
static size_t
write_client_extensions(const struct wisp_handshake *handshake, uint8_t *p)
{
	size_t n = 0;

	if (handshake->udp)
		n += write_extension(p + n, WISP_EXTENSION_UDP, NULL, 0);
	if (handshake->credentials == WISP_CREDENTIALS_PASSWORD)
		n += write_password(handshake->client, p + n);
	if (handshake->credentials == WISP_CREDENTIALS_KEY)
		n += write_signature(handshake, p + n);
	if (handshake->motd_offered)
		n += write_extension(p + n, WISP_EXTENSION_MOTD, NULL, 0);
	if (handshake->confirmation)
		n += write_extension(p + n, WISP_EXTENSION_OPEN_CONFIRMATION, NULL, 0);
	if (handshake->end_of_data)
		n += write_version(p + n, WISP_EXTENSION_END_OF_DATA, END_OF_DATA_VERSION);
	return n;
}

static size_t
write_server_extensions(const struct wisp_handshake *handshake, uint8_t *p)
{
	const struct wisp_server_options *server = handshake->server;
	uint8_t offer[KEY_OFFER_HEADER_SIZE + WISP_CHALLENGE_SIZE] = {true, ED25519};
	size_t n = 0;

	if (server->udp)
		n += write_extension(p + n, WISP_EXTENSION_UDP, NULL, 0);
	if (server->check_password != NULL)
		n += write_extension(p + n, WISP_EXTENSION_PASSWORD, offer, 1);
	if (server->find_key != NULL) {
		memcpy(offer + KEY_OFFER_HEADER_SIZE, handshake->challenge, sizeof handshake->challenge);
		n += write_extension(p + n, WISP_EXTENSION_KEY, offer, sizeof offer);
	}
	if (server->motd != NULL)
		n += write_extension(p + n, WISP_EXTENSION_MOTD, server->motd, strnlen(server->motd, WISP_MOTD_MAX));
	n += write_extension(p + n, WISP_EXTENSION_OPEN_CONFIRMATION, NULL, 0);
	if (server->end_of_data)
		n += write_version(p + n, WISP_EXTENSION_END_OF_DATA, END_OF_DATA_VERSION);
	return n;
}

static size_t
write_info(const struct wisp_handshake *handshake, uint8_t *p)
{
	size_t n = wisp_packet_header(p, WISP_INFO, WISP_CONNECTION);

	p[n++] = MAJOR;
	p[n++] = MINOR;
	if (handshake->client != NULL)
		return n + write_client_extensions(handshake, p + n);
	return n + write_server_extensions(handshake, p + n);
}

bool
wisp_handshake_pending(const struct wisp_handshake *handshake)
{
	return handshake->send_info || handshake->send_credit || handshake->send_close;
}

size_t
wisp_handshake_send(struct wisp_handshake *handshake, uint8_t p[WISP_HANDSHAKE_PACKET_MAX])
{
	if (handshake->send_info) {
		handshake->send_info = false;
		return write_info(handshake, p);
	}
	if (handshake->send_credit) {
		handshake->send_credit = false;
		return wisp_packet_continue(p, WISP_CONNECTION, handshake->credit);
	}
	if (handshake->send_close) {
		handshake->send_close = false;
		return wisp_packet_close(p, WISP_CONNECTION, handshake->close_reason);
	}
	return 0;
}
