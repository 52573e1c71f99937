/*
 * SOCKS4 and SOCKS4a messages, the client's side ("SOCKS: A protocol for TCP proxy across firewalls", and "SOCKS 4A: A
 * Simple Extension to SOCKS 4 Protocol"). There are no passwords: a server is told only a user name.
 */
#ifndef WISP_SOCKS4_H
#define WISP_SOCKS4_H

#include <stddef.h>
#include <stdint.h>

#include <wisp/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WISP_SOCKS4_VERSION 4
/* The longest user name, or host name. */
#define WISP_SOCKS4_TEXT_MAX 255
#define WISP_SOCKS4_REQUEST_MAX (8 + 2 * (WISP_SOCKS4_TEXT_MAX + 1))
#define WISP_SOCKS4_REPLY_SIZE 8

enum wisp_socks4_reply {
	WISP_SOCKS4_GRANTED = 90,
	WISP_SOCKS4_FAILED = 91,     /* refused, or there is no connection */
	WISP_SOCKS4_NO_IDENTD = 92,  /* the server cannot ask identd who the user is */
	WISP_SOCKS4_OTHER_USER = 93, /* identd says that it is another user */
};

/* A request to connect. */
struct wisp_socks4_request {
	uint16_t port;
	const uint8_t *ipv4; /* 4 bytes in network order; NULL for a name, which the server looks up (SOCKS4a) */
	const char *name;    /* NULL for an address */
	const char *user;    /* "" for none */
};

/* Write a request. Returns its size, or 0 when one of the texts is longer than WISP_SOCKS4_TEXT_MAX. */
WISP_API size_t wisp_socks4_request_encode(
	uint8_t p[WISP_SOCKS4_REQUEST_MAX], const struct wisp_socks4_request *request);

enum wisp_socks4_result {
	WISP_SOCKS4_MORE,    /* the message is not complete */
	WISP_SOCKS4_OK,      /* complete, in WISP_SOCKS4_REPLY_SIZE bytes */
	WISP_SOCKS4_INVALID, /* not SOCKS4 */
};

/* Read the answer from the n bytes at p. *reply is an enum wisp_socks4_reply, or anything else. */
WISP_API enum wisp_socks4_result wisp_socks4_reply_decode(const uint8_t *p, size_t n, uint8_t *reply);

#ifdef __cplusplus
}
#endif

#endif
