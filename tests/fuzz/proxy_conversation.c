#include "proxy_conversation.h"

#include <unistd.h>

#include <sys/socket.h>

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

size_t
proxy_converse(const char *proxy, unsigned split, const struct input *answer, struct failure *failure)
{
	static struct conversation conversation;
	struct proxy_settings settings;
	static struct url url;
	size_t answer_size = 0;

	must(proxy_settings_init(&settings, proxy));
	must(url_parse("wss://wisp.example/", &url) == NULL);
	conversation = (struct conversation){.open = false};
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, conversation.fds) == 0);
	proxy_handshake_begin(&conversation.handshake, settings.tls, &url, NULL);
	feed_split(split, answer->p, answer->n, hear, &conversation);
	shutdown(conversation.fds[1], SHUT_WR);
	if (conversation.open)
		answer_size = answer->n - count_left(&conversation);
	else
		must(!proxy_handshake_advance(&conversation.handshake, conversation.fds[0], &conversation.failure));
	must(conversation.open == (conversation.failure.kind == FAILURE_NONE));
	*failure = conversation.failure;
	close(conversation.fds[0]);
	close(conversation.fds[1]);
	return answer_size;
}
