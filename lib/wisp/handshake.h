/*
 * How a Wisp connection begins (Wisp v2 specification, "Handshake Steps"): in v1 the server's CONTINUE on stream 0, in
 * v2 INFO from both sides before it.
 */
#ifndef WISP_HANDSHAKE_H
#define WISP_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>
#include <wisp/key.h>
#include <wisp/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_EXTENSION_HEADER_SIZE 5

enum wisp_extension_id {
	WISP_EXTENSION_UDP = 0x01,
	WISP_EXTENSION_PASSWORD = 0x02,
	WISP_EXTENSION_KEY = 0x03,
	WISP_EXTENSION_MOTD = 0x04,
	WISP_EXTENSION_OPEN_CONFIRMATION = 0x05,
	/* Our own: see wisp-extensions(7). Its entry begins with the version that a side speaks. */
	WISP_EXTENSION_END_OF_DATA = 0xf1,
};

/* One entry of INFO's extension data. */
struct wisp_extension {
	uint8_t id;
	const uint8_t *data;
	size_t size;
};

/*
 * Take the next extension from the *n bytes at *p and move both on. Returns false when there is none left; *n is then
 * 0, or, when an entry runs over the end, what could not be read.
 */
WISP_API bool wisp_extension_next(const uint8_t **p, size_t *n, struct wisp_extension *extension);

/* Append an extension at p. Returns its size, which is WISP_EXTENSION_HEADER_SIZE and that of its data. */
WISP_API size_t wisp_extension_write(uint8_t *p, const struct wisp_extension *extension);

/* The longest texts that INFO carries. */
#define WISP_USER_MAX 255
#define WISP_PASSWORD_MAX 1024
#define WISP_MOTD_MAX 2048

/* What a server has its clients sign. */
#define WISP_CHALLENGE_SIZE 64

/* Which protocol versions a client speaks. */
enum wisp_versions {
	WISP_VERSION_1 = 1,
	WISP_VERSION_2 = 2,
	WISP_VERSION_AUTO = 0, /* asks for 2 and takes 1 */
};

/* What a client wants, and what it has to show. Whatever is pointed to must outlive the handshake. */
struct wisp_client_options {
	enum wisp_versions versions;
	bool udp;                   /* use UDP, where the server has it */
	bool confirm;               /* have the server confirm streams, where it can */
	bool end_of_data;           /* let each direction of a stream end by itself, where the server can */
	bool trusted;               /* it is certain who the server is: credentials may be sent */
	const char *user;           /* NULL for none; at most WISP_USER_MAX bytes */
	const char *password;       /* at most WISP_PASSWORD_MAX bytes */
	const struct wisp_key *key; /* NULL for none */
};

/* What a server makes of a user name and a password. */
enum wisp_password {
	WISP_PASSWORD_WRONG,
	WISP_PASSWORD_RIGHT,
	WISP_PASSWORD_UNKNOWN, /* it cannot be checked: out of memory */
};

/* What a server offers, and whom it lets in. Whatever is pointed to must outlive the handshake. */
struct wisp_server_options {
	uint32_t credit; /* DATA packets that it buffers for a stream, 1 or more */
	bool udp;
	bool end_of_data; /* let each direction of a stream end by itself, where the client can */
	const char *motd; /* NULL for none; at most WISP_MOTD_MAX bytes, in UTF-8 */
	/* Each is NULL when clients are not asked for it. When they are asked for both, either will do. */
	enum wisp_password (*check_password)(
		void *arg, const char *user, size_t user_size, const char *password, size_t password_size);
	const struct wisp_public_key *(*find_key)(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE]);
	void *arg;
};

enum wisp_handshake_state {
	WISP_HANDSHAKE_FIRST,  /* client: waits for the server's first packet */
	WISP_HANDSHAKE_INFO,   /* server: waits for the client's INFO */
	WISP_HANDSHAKE_CREDIT, /* client: sent its INFO, waits for the verdict */
	WISP_HANDSHAKE_DONE,
	WISP_HANDSHAKE_FAILED,
};

/* What a client shows. */
enum wisp_credentials {
	WISP_CREDENTIALS_NONE,
	WISP_CREDENTIALS_PASSWORD,
	WISP_CREDENTIALS_KEY,
};

/* Who a client claims to be, for the log. It is proved only when the handshake is DONE. */
struct wisp_identity {
	char user[WISP_USER_MAX]; /* any bytes */
	size_t user_size;
	bool has_user;
	bool has_key;               /* it named a key by its hash */
	bool is_key_known;          /* the rest of the key is there, too */
	struct wisp_public_key key; /* the server's copy of it */
};

/* Faults that a client finds and that do not go away by trying again. */
enum wisp_handshake_fault {
	WISP_FAULT_NONE,
	WISP_FAULT_NOT_WISP, /* the server's first message is not Wisp */
	WISP_FAULT_VERSION,  /* the server does not speak the only version that the client speaks */
};

struct wisp_handshake {
	enum wisp_handshake_state state;
	const struct wisp_client_options *client; /* NULL on the server's side */
	const struct wisp_server_options *server; /* NULL on the client's side */
	bool send_info;
	bool send_credit;
	bool send_close;
	uint8_t close_reason; /* why this side refuses the other, sent or to be sent; or 0 */

	uint8_t version;   /* agreed: 1 or 2; valid when DONE */
	uint32_t credit;   /* what every TCP stream starts with; valid when DONE */
	bool udp;          /* UDP may be used; valid when DONE */
	bool confirmation; /* streams are confirmed; valid when DONE */
	bool end_of_data;  /* each direction of a stream ends by itself; valid when DONE */

	enum wisp_handshake_fault fault; /* client, FAILED: why this server and this client cannot work together */
	uint8_t reason;    /* FAILED: the reason in a CLOSE, the other side's or ours, that says what is wrong, or 0 */
	const char *error; /* FAILED: a text without a final full stop */

	enum wisp_credentials credentials; /* that the client shows, or has shown */
	bool withheld;                     /* client: it did not show them, since the server is not trusted */
	bool motd_offered;
	const uint8_t *motd; /* client: stands in the packet that was received last; NULL when there is none */
	size_t motd_size;
	struct wisp_identity identity;              /* server */
	uint8_t challenge[WISP_CHALLENGE_SIZE];     /* server */
	uint8_t signature[WISP_KEY_SIGNATURE_SIZE]; /* client */
};

WISP_API void wisp_handshake_init_client(struct wisp_handshake *handshake, const struct wisp_client_options *options);

/* `version` is 1 for a client that sent no Sec-WebSocket-Protocol, whatever the server speaks. */
WISP_API void wisp_handshake_init_server(
	struct wisp_handshake *handshake, const struct wisp_server_options *options, uint8_t version);

/* Take a packet that arrived before the handshake was DONE. Look at the state afterwards: FAILED is for good. */
WISP_API void wisp_handshake_receive(struct wisp_handshake *handshake, const struct wisp_packet *packet);

/*
 * Client: the server's first message is no packet. `error` says why, and must be a static string. Returns false, and
 * does nothing, when a packet has come before: the caller decides what to do then.
 */
WISP_API bool wisp_handshake_receive_foreign(struct wisp_handshake *handshake, const char *error);

/* The longest packet that wisp_handshake_send() writes. */
#define WISP_HANDSHAKE_PACKET_MAX 4000

/* Whether there is something to send. */
WISP_API bool wisp_handshake_pending(const struct wisp_handshake *handshake);

/* Write the next packet that the handshake has to send to p. Returns its size, 0 when there is none. */
WISP_API size_t wisp_handshake_send(struct wisp_handshake *handshake, uint8_t p[WISP_HANDSHAKE_PACKET_MAX]);

#ifdef __cplusplus
}
#endif

#endif
