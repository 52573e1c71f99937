/*
 * A session of either role that hears whatever the input says, while the application around it, callbacks too, does
 * arbitrary things. The input is a program: a few bytes that set the session up, then operations with their arguments.
 * hostile.c is the other side, and application.c the application.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <wisp/session.h>

#include "fuzz.h"
#include "ledger.h"
#include "../unit/wire.h"

#define SLOTS 8

/* A stream of the application, in memory of its own: a callback after its end is seen by a sanitizer. */
struct slot {
	struct hostile *hostile;
	struct wisp_stream *stream;
	bool datagrams;
	bool confirmed;
	bool ended;      /* its data, by the application */
	bool peer_ended; /* by the other side */
	size_t backlog;
	size_t least_backlog; /* since the pull under way began */
};

struct hostile {
	struct input input;
	bool client;
	bool shut_down;
	bool has_udp; /* there has been a stream of datagrams */
	uint64_t now_ms;
	struct wisp_client_options client_options;
	struct wisp_server_options server_options;
	struct wisp_session *session;
	struct slot *slots[SLOTS]; /* NULL where there is none */
	int depth;                 /* of callbacks that act */

	struct wisp_frame_decoder frames; /* of what it hears */
	struct wisp_packet_decoder packets;
	struct wisp_packet heard; /* the packet that it is hearing */
	struct wire wire;         /* what it sends */
	struct ledger ledger;
	struct buffer closed; /* the ids, a uint32_t each, of which the ledger does not know yet */
};

/* Run the input as a program for a session of this role, to its end. */
void hostile_run(bool client, const uint8_t *p, size_t n);

/* ---- the application ---- */

extern const struct wisp_session_callbacks application_callbacks;

/* Who may come in, for the server's options. */
enum wisp_password application_check_password(
	void *arg, const char *user, size_t user_size, const char *password, size_t password_size);
const struct wisp_public_key *application_find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE]);

/* Do what `what` stands for: something that callbacks do, too. */
void application_act(struct hostile *hostile, unsigned what);

/* Close a slot's stream. */
void application_close(struct slot *slot, uint8_t reason);

/* The slot of a stream, or NULL. */
struct slot *application_slot(struct hostile *hostile, uint32_t id);

#endif
