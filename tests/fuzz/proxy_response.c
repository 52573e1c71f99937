/*
 * Fuzz target: what a proxy answers. The first byte chooses where it is split, which must not make a difference; what
 * comes behind its head is not to be read.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "fuzz.h"
#include "proxy_handshake.h"

struct conversation {
	struct proxy_handshake handshake;
	struct failure failure;
	int fds[2]; /* ours, and the proxy's */
	size_t unsent;
	bool open;
};

static void
hear(void *arg, uint8_t *p, size_t n, bool last)
{
	struct conversation *const conversation = arg;

	(void)last;
	if (conversation->open || conversation->failure.kind != FAILURE_NONE) {
		conversation->unsent += n;
		return;
	}
	must(n == 0 || send(conversation->fds[1], p, n, 0) == (ssize_t)n);
	conversation->open =
		proxy_handshake_advance(&conversation->handshake, conversation->fds[0], &conversation->failure);
}

/* What the handshake left of the answer. */
static size_t
count_left(const struct conversation *conversation)
{
	uint8_t p[4096];
	size_t left = conversation->unsent;
	ssize_t n;

	while ((n = recv(conversation->fds[0], p, sizeof p, 0)) > 0)
		left += (size_t)n;
	return left;
}

/* Returns the size of the head when the way is open, or 0. */
static size_t
converse(unsigned split, const struct input *answer, struct failure *failure)
{
	static struct conversation conversation;
	struct proxy_settings settings;
	struct url url;
	size_t head_size = 0;

	must(proxy_settings_init(&settings, "http://user:password@proxy.example:8080"));
	must(url_parse("wss://wisp.example/", &url) == NULL);
	conversation = (struct conversation){.open = false};
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, conversation.fds) == 0);
	proxy_handshake_begin(&conversation.handshake, settings.tls, &url);
	feed_split(split, answer->p, answer->n, hear, &conversation);
	shutdown(conversation.fds[1], SHUT_WR);
	if (conversation.open)
		head_size = answer->n - count_left(&conversation);
	else
		must(!proxy_handshake_advance(&conversation.handshake, conversation.fds[0], &conversation.failure));
	must(conversation.open == (conversation.failure.kind == FAILURE_NONE));
	*failure = conversation.failure;
	close(conversation.fds[0]);
	close(conversation.fds[1]);
	return head_size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	const unsigned split = 1 + input_byte(&input);
	struct failure whole, parts;
	size_t head_size;

	if (input.n > 2 * PROXY_HEAD_MAX)
		return 0; /* it would not fit into the socket */
	head_size = converse(0, &input, &whole);
	must(converse(split, &input, &parts) == head_size);
	must(whole.kind == parts.kind && strcmp(whole.reason, parts.reason) == 0);
	must(head_size == 0 || input.p[head_size - 1] == '\n');
	return 0;
}
