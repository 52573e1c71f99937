#include "hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sys/socket.h>

#include <wisp/upgrade.h>

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

enum hello
hello_look(evutil_socket_t fd, bool tls)
{
	unsigned char first;
	const ssize_t n = recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && would_block())
		return HELLO_NONE;
	if (n <= 0)
		return HELLO_GONE;
	if (tls)
		return is_letter(first) ? HELLO_HTTP : HELLO_RIGHT;
	return first == TLS_HANDSHAKE ? HELLO_TLS : HELLO_RIGHT;
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

void
hello_answer_http(evutil_socket_t fd)
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
