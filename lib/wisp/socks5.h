/*
 * SOCKS5 messages (RFC 1928, and RFC 1929 for passwords), of the server's side and, at the end, of the client's. Each
 * decoder says how many bytes a message takes as soon as that can be told, so that a caller never has to read past its
 * end: what follows belongs to the connection.
 */
#ifndef WISP_SOCKS5_H
#define WISP_SOCKS5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_SOCKS5_VERSION 5
#define WISP_SOCKS5_METHOD_NONE 0x00
#define WISP_SOCKS5_METHOD_PASSWORD 0x02
#define WISP_SOCKS5_METHOD_UNACCEPTABLE 0xff

/* The longest greeting, password or request. */
#define WISP_SOCKS5_MESSAGE_MAX 513
#define WISP_SOCKS5_METHOD_REPLY_SIZE 2
#define WISP_SOCKS5_PASSWORD_REPLY_SIZE 2
#define WISP_SOCKS5_REPLY_MAX 22
/* The longest header of a UDP datagram. */
#define WISP_SOCKS5_DATAGRAM_HEADER_MAX 262
/* The longest greeting that wisp_socks5_greeting_encode() writes. */
#define WISP_SOCKS5_GREETING_MAX 4
/* The longest user name, password or host name. */
#define WISP_SOCKS5_TEXT_MAX 255
/* The longest destination as text, with the final NUL. */
#define WISP_SOCKS5_HOST_SIZE 256

enum wisp_socks5_command {
	WISP_SOCKS5_CONNECT = 1,
	WISP_SOCKS5_BIND = 2,
	WISP_SOCKS5_UDP_ASSOCIATE = 3,
};

/* Replies (section 6). */
enum wisp_socks5_reply {
	WISP_SOCKS5_SUCCEEDED = 0,
	WISP_SOCKS5_FAILURE = 1,
	WISP_SOCKS5_NOT_ALLOWED = 2,
	WISP_SOCKS5_NETWORK_UNREACHABLE = 3,
	WISP_SOCKS5_HOST_UNREACHABLE = 4,
	WISP_SOCKS5_REFUSED = 5,
	WISP_SOCKS5_TTL_EXPIRED = 6,
	WISP_SOCKS5_COMMAND_UNSUPPORTED = 7,
	WISP_SOCKS5_ADDRESS_UNSUPPORTED = 8,
};

/* The client's greeting (section 3). `methods` points into the decoded bytes. */
struct wisp_socks5_greeting {
	const uint8_t *methods;
	size_t method_count;
};

/* A user name and a password (RFC 1929 section 2), which point into the decoded bytes and are not terminated. */
struct wisp_socks5_password {
	const char *user;
	size_t user_size;
	const char *password;
	size_t password_size;
};

/* A destination as a client names it. */
struct wisp_socks5_destination {
	uint16_t port;
	char host[WISP_SOCKS5_HOST_SIZE]; /* the name as it came, or the address as text, no brackets; terminated */
	size_t host_size;                 /* without the NUL */
};

/* The client's request (section 4). */
struct wisp_socks5_request {
	uint8_t command; /* an enum wisp_socks5_command, or anything else */
	struct wisp_socks5_destination destination;
};

/* The header of a UDP datagram (section 7). */
struct wisp_socks5_datagram {
	uint8_t fragment; /* 0 for a datagram that is whole */
	struct wisp_socks5_destination destination;
	/* The destination as it stands in the header, which points into the decoded bytes. */
	const uint8_t *address;
	size_t address_size;
	size_t header_size; /* the payload follows */
};

/* An IPv4 or IPv6 address and a port. */
struct wisp_socks5_address {
	const uint8_t *bytes; /* in network order */
	size_t size;          /* 4 or 16 */
	uint16_t port;
};

enum wisp_socks5_result {
	WISP_SOCKS5_MORE,        /* the message is not complete: *need says how many bytes it takes at the least */
	WISP_SOCKS5_OK,          /* complete: *need is its size */
	WISP_SOCKS5_INVALID,     /* not SOCKS5: nothing to say to the other side */
	WISP_SOCKS5_BAD_ADDRESS, /* request: an address type that does not exist; answer ADDRESS_UNSUPPORTED */
	WISP_SOCKS5_BAD_NAME,    /* request: a name that is empty or has a NUL in it; answer FAILURE */
};

/* Read a message from the n bytes at p. The results are as above. */
WISP_API enum wisp_socks5_result wisp_socks5_greeting_decode(
	const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_greeting *greeting);
WISP_API enum wisp_socks5_result wisp_socks5_password_decode(
	const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_password *password);
WISP_API enum wisp_socks5_result wisp_socks5_request_decode(
	const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_request *request);

/* Whether a greeting offers an authentication method. */
WISP_API bool wisp_socks5_offers(const struct wisp_socks5_greeting *greeting, uint8_t method);

/* Write the answer to a greeting. Returns its size. */
WISP_API size_t wisp_socks5_method_reply(uint8_t p[WISP_SOCKS5_METHOD_REPLY_SIZE], uint8_t method);

/* Write the answer to a password (RFC 1929 section 2). Returns its size. */
WISP_API size_t wisp_socks5_password_reply(uint8_t p[WISP_SOCKS5_PASSWORD_REPLY_SIZE], bool good);

/* Write a reply. `address` is NULL where there is none to tell (0.0.0.0, port 0). Returns its size. */
WISP_API size_t wisp_socks5_reply(
	uint8_t p[WISP_SOCKS5_REPLY_MAX], enum wisp_socks5_reply reply, const struct wisp_socks5_address *address);

/* Read the header of a datagram of n bytes. Returns false when it has none that can be read. */
WISP_API bool wisp_socks5_datagram_decode(const uint8_t *p, size_t n, struct wisp_socks5_datagram *datagram);

/*
 * Write the header of an answer, with its source as it stood in the header of what was asked. Returns its size, which
 * is 3 more than the address's.
 */
WISP_API size_t wisp_socks5_datagram_encode(
	uint8_t p[WISP_SOCKS5_DATAGRAM_HEADER_MAX], const uint8_t *address, size_t address_size);

/* ---- the client's side ---- */

/* The server's answer to a request (section 6). */
struct wisp_socks5_answer {
	uint8_t reply; /* an enum wisp_socks5_reply, or anything else */
	/* SUCCEEDED: the address that the server uses, or all zero when it cannot be read as one. */
	struct wisp_socks5_destination bound;
};

/* Write a greeting that offers no authentication, and a password too if there is one. Returns its size. */
WISP_API size_t wisp_socks5_greeting_encode(uint8_t p[WISP_SOCKS5_GREETING_MAX], bool has_password);

/*
 * Write a user name and a password (RFC 1929 section 2). Returns the size, or 0 when one is longer than
 * WISP_SOCKS5_TEXT_MAX.
 */
WISP_API size_t wisp_socks5_password_encode(
	uint8_t p[WISP_SOCKS5_MESSAGE_MAX], const struct wisp_socks5_password *password);

/* Write a request for an address. Returns its size. */
WISP_API size_t wisp_socks5_request_encode(uint8_t p[WISP_SOCKS5_MESSAGE_MAX], enum wisp_socks5_command command,
	const struct wisp_socks5_address *address);

/* Write a request for a name of n bytes, which the server looks up. Returns its size, or 0 when n is 0 or too long. */
WISP_API size_t wisp_socks5_request_encode_name(uint8_t p[WISP_SOCKS5_MESSAGE_MAX], enum wisp_socks5_command command,
	const char *name, size_t n, uint16_t port);

/* Read the answer to a greeting, to a password, or to a request. Results: MORE, OK or INVALID. */
WISP_API enum wisp_socks5_result wisp_socks5_method_reply_decode(
	const uint8_t *p, size_t n, size_t *need, uint8_t *method);
WISP_API enum wisp_socks5_result wisp_socks5_password_reply_decode(
	const uint8_t *p, size_t n, size_t *need, bool *good);

/* An answer that refuses is taken for complete with its second byte: some servers send no more. */
WISP_API enum wisp_socks5_result wisp_socks5_reply_decode(
	const uint8_t *p, size_t n, size_t *need, struct wisp_socks5_answer *answer);

#ifdef __cplusplus
}
#endif

#endif
