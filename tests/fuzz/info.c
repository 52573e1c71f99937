/* Fuzz target: the payload of INFO, with its extensions, as clients and servers of all kinds take it. */
#include <stdlib.h>
#include <string.h>

#include <wisp/handshake.h>

#include "fuzz.h"

static enum wisp_password
check_password(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	(void)arg;
	return user_size == 1 && user[0] == 'u' && password_size == 1 && password[0] == 'p' ? WISP_PASSWORD_RIGHT
											    : WISP_PASSWORD_WRONG;
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	static const struct wisp_public_key key;

	(void)arg;
	return hash[0] == 0 ? &key : NULL;
}

/* Both sides hear it, with and without credentials. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct wisp_client_options clients[] = {
		{.udp = true, .confirm = true, .end_of_data = true},
		{.udp = true, .user = "user", .password = "password"},
		{.trusted = true, .user = "user", .password = "password"},
	};
	static const struct wisp_server_options servers[] = {
		{.udp = true, .end_of_data = true, .credit = 1, .motd = "hello"},
		{.credit = 1, .check_password = check_password},
		{.credit = 1, .check_password = check_password, .find_key = find_key},
	};
	uint8_t *const copy = exact_copy(p, n);
	struct wisp_packet packet = {.type = WISP_INFO, .data = copy, .size = n};
	struct wisp_handshake handshake;
	uint8_t sent[WISP_HANDSHAKE_PACKET_MAX];

	for (size_t i = 0; i < COUNT(clients); i++) {
		wisp_handshake_init_client(&handshake, &clients[i]);
		wisp_handshake_receive(&handshake, &packet);
		must(handshake.state == WISP_HANDSHAKE_CREDIT || handshake.state == WISP_HANDSHAKE_FAILED);
		must((handshake.state == WISP_HANDSHAKE_FAILED) == (handshake.error != NULL));
		must(handshake.credentials == WISP_CREDENTIALS_NONE || clients[i].trusted);
		must(clients[i].end_of_data || !handshake.end_of_data);
		must(wisp_handshake_pending(&handshake) || handshake.error != NULL);
		must((wisp_handshake_send(&handshake, sent) > 0) == (handshake.error == NULL || handshake.reason != 0));
	}
	for (size_t i = 0; i < COUNT(servers); i++) {
		wisp_handshake_init_server(&handshake, &servers[i], 2);
		wisp_handshake_receive(&handshake, &packet);
		must(handshake.state == WISP_HANDSHAKE_DONE || handshake.state == WISP_HANDSHAKE_FAILED);
		must((handshake.state == WISP_HANDSHAKE_FAILED) == (handshake.error != NULL));
		must(servers[i].udp || !handshake.udp);
		must(servers[i].end_of_data || !handshake.end_of_data);
	}
	free(copy);
	return 0;
}
