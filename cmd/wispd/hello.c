#include "hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sys/socket.h>

#include <wisp/upgrade.h>

#include "log.h"

/* The type of the TLS record that begins a handshake (RFC 8446 section 5.1). */
#define TLS_HANDSHAKE 0x16
#define PIECE_SIZE 4096

#define PLAIN_HTTP "Plain HTTP was sent to a port that speaks TLS: use wss:// or https://.\n"

static bool
would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Methods are letters, and no record of TLS begins with one. */
static bool
is_letter(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool
hello_drop(evutil_socket_t fd)
{
	char piece[PIECE_SIZE];

	for (size_t dropped = 0; dropped < WISP_UPGRADE_HEAD_MAX; dropped += sizeof piece) {
		const ssize_t n = recv(fd, piece, sizeof piece, MSG_DONTWAIT);

		if (n <= 0)
			return n < 0 && would_block();
	}
	return false;
}

/* Tell a client of plain HTTP, in its own words, that TLS is spoken here, and end our side. */
static void
answer_http(evutil_socket_t fd)
{
	char response[256];
	const int n = snprintf(response, sizeof response,
		"HTTP/1.1 400 Bad Request\r\n"
		"Content-Type: text/plain\r\n"
		"Content-Length: %zu\r\n"
		"Connection: close\r\n"
		"\r\n" PLAIN_HTTP,
		strlen(PLAIN_HTTP));

	if (send(fd, response, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		shutdown(fd, SHUT_WR);
}

/* Nothing that it says is for this port. */
static enum hello
turn_away(evutil_socket_t fd, bool tls, const char *name)
{
	const bool more = hello_drop(fd);

	if (!tls) {
		log_info("%s: turned away: it speaks TLS, but this port speaks plain HTTP: connect with ws:// "
			 "(a proxy in front: http://), or set --cert and --cert-key",
			name);
		return HELLO_GONE;
	}
	log_info("%s: turned away: it speaks plain HTTP, but this port speaks TLS: connect with wss:// "
		 "(a proxy in front: https://)",
		name);
	answer_http(fd);
	return more ? HELLO_LEAVING : HELLO_GONE;
}

enum hello
hello_take(evutil_socket_t fd, bool tls, const char *name)
{
	unsigned char first;
	const ssize_t n = recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && would_block())
		return HELLO_NONE;
	if (n <= 0) {
		log_debug("%s: left without a word", name);
		return HELLO_GONE;
	}
	if (tls ? is_letter(first) : first == TLS_HANDSHAKE)
		return turn_away(fd, tls, name);
	return HELLO_RIGHT;
}
