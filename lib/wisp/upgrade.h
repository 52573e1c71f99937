/*
 * The HTTP/1.1 upgrade that opens a WebSocket (RFC 6455 section 4): the key and its answer for both sides, for servers
 * the client's request and the response to it, and for clients what stands in a response.
 */
#ifndef WISP_UPGRADE_H
#define WISP_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>

#include <wisp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sec-WebSocket-Key and Sec-WebSocket-Accept in base64, with the final NUL. */
#define WISP_UPGRADE_KEY_SIZE 25
#define WISP_UPGRADE_ACCEPT_SIZE 29
/* A longer request head is refused. Fronts let through 32 KiB and more of a client's (nginx: 1 + 4 * 8), and add to it.
 */
#define WISP_UPGRADE_HEAD_MAX (36 * 1024)
/* The longest subprotocol name that is answered. */
#define WISP_UPGRADE_PROTOCOL_MAX 64
/* The longest response that wisp_upgrade_respond() writes. */
#define WISP_UPGRADE_RESPONSE_MAX 512

/* Draw a new Sec-WebSocket-Key. Returns false when there is no randomness to be had. */
WISP_API bool wisp_upgrade_key(char key[WISP_UPGRADE_KEY_SIZE]);

/* The Sec-WebSocket-Accept that answers a key (section 4.2.2). Returns false when it cannot be computed. */
WISP_API bool wisp_upgrade_accept(const char *key, char accept[WISP_UPGRADE_ACCEPT_SIZE]);

/* Whether the comma-separated list of a header (RFC 9110 section 5.6.1) names a token, in any case of letters. */
WISP_API bool wisp_upgrade_list_has(const char *list, size_t n, const char *token);

/* Where a server says that it is well. */
#define WISP_UPGRADE_HEALTH_PATH "/healthz"

/* What a client asked for. */
struct wisp_upgrade_request {
	/*
	 * The HTTP status to answer with: 101 for a good request, 200 for one of WISP_UPGRADE_HEALTH_PATH, 204 for one
	 * of what methods there are (OPTIONS), or an error.
	 */
	int status;
	const char *error;                        /* what is wrong, without a full stop; NULL below 400. Static */
	bool head_only;                           /* the method is HEAD: the response has no body */
	bool http10;                              /* the response is to be HTTP/1.0 */
	char key[WISP_UPGRADE_KEY_SIZE];          /* status 101 only */
	char protocol[WISP_UPGRADE_PROTOCOL_MAX]; /* the first offered subprotocol, or "" */
	bool has_protocol;                        /* there is a Sec-WebSocket-Protocol header */
};

/*
 * The size of the request head in the n bytes at p, up to and with the empty line that ends it, or 0 when that is yet
 * to come. It was not in the first `seen` bytes: a head that comes byte by byte is looked at once.
 */
WISP_API size_t wisp_upgrade_head_size(const char *p, size_t n, size_t seen);

/*
 * Read a request head (RFC 9112) from the n bytes at p. `path` is the only path that is a Wisp server; a query behind
 * it is ignored. Returns the size of the head when it is complete, with `request` filled in, and 0 when there is more
 * to come. A head longer than WISP_UPGRADE_HEAD_MAX is complete with status 431.
 */
WISP_API size_t wisp_upgrade_parse(const char *p, size_t n, const char *path, struct wisp_upgrade_request *request);

/* Write the response to a request. Returns its size. */
WISP_API size_t wisp_upgrade_respond(
	const struct wisp_upgrade_request *request, char response[WISP_UPGRADE_RESPONSE_MAX]);

/* A piece of a response: not terminated, and valid as long as the response's bytes are. */
struct wisp_upgrade_text {
	const char *p;
	size_t n;
};

/* The text without the spaces and tabs around it (RFC 9110 section 5.6.3). */
WISP_API struct wisp_upgrade_text wisp_upgrade_trim(struct wisp_upgrade_text text);

/*
 * The size of the response head at p, up to and with the empty line that ends it; 0 when its end is not among the n
 * bytes.
 */
WISP_API size_t wisp_upgrade_response_size(const char *p, size_t n);

/* Whether the n bytes may be the beginning of a response of HTTP/1.x: what is not will not become one. */
WISP_API bool wisp_upgrade_response_begins(const char *p, size_t n);

/* The status of a response head, 100 to 999; 0 when this is none of HTTP/1.x. */
WISP_API unsigned wisp_upgrade_response_status(struct wisp_upgrade_text head);

/*
 * Find the next header of this name, in any case of letters. `rest` is the head at first, and then what follows the
 * header that was found. `value` is without white space around it (RFC 9110 section 5.5). Returns false when there is
 * no more.
 */
WISP_API bool wisp_upgrade_response_header(
	struct wisp_upgrade_text *rest, const char *name, struct wisp_upgrade_text *value);

#ifdef __cplusplus
}
#endif

#endif
