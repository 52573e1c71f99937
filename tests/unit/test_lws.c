/*
 * What cmd/tunnel/connection.c counts on in libwebsockets, whichever version this is: the request that it writes, that
 * it reads nothing of the answer before it is served again, and that connections with vhosts of their own do not wait
 * for each other.
 */
#include "unit.h"

#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define CONNECTIONS 3
/* Each of them waits so long at the most, when there is nothing to do. */
#define TURNS 500
#define TURN_MS 10

static const char answer[] = "HTTP/1.1 103 Early Hints\r\n\r\n";

/* The end of each that libwebsockets has, and ours. */
static struct lws *clients[CONNECTIONS];
static int servers[CONNECTIONS];
static bool requested[CONNECTIONS];

static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	(void)user, (void)in, (void)n;
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER && wsi == clients[i])
			requested[i] = true;
	return 0;
}

static struct lws_context *
create_context(struct lws_vhost *vhosts[CONNECTIONS])
{
	static const struct lws_protocols protocols[] = {{.name = "test", .callback = on_lws}, {0}};
	struct lws_context_creation_info info;
	struct lws_context *context;

	memset(&info, 0, sizeof info);
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.protocols = protocols;
	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	assert_non_null(context);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		vhosts[i] = lws_create_vhost(context, &info);
		assert_non_null(vhosts[i]);
	}
	return context;
}

static int
listen_somewhere(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, CONNECTIONS), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void
begin(struct lws_context *context, struct lws_vhost *vhost, uint16_t port, struct lws **wsi)
{
	const struct lws_client_connect_info info = {
		.context = context,
		.vhost = vhost,
		.address = "127.0.0.1",
		.host = "wisp.test",
		.port = port,
		.path = "/",
		.method = "GET",
		.ssl_connection = LCCSCF_PIPELINE,
		.local_protocol_name = "test",
		.pwsi = wsi,
	};

	assert_non_null(lws_client_connect_via_info(&info));
}

/* Serve them until all have been accepted and have written their requests. */
static void
serve(struct lws_context *context, int listener)
{
	size_t accepted = 0, done = 0;

	for (int turn = 0; turn < TURNS && (done < CONNECTIONS || accepted < CONNECTIONS); turn++) {
		struct pollfd pollfd = {.fd = listener, .events = POLLIN};

		if (poll(&pollfd, 1, accepted < CONNECTIONS ? TURN_MS : 0) == 1 && accepted < CONNECTIONS)
			servers[accepted++] = accept(listener, NULL, NULL);
		lws_service(context, -1);
		done = 0;
		for (size_t i = 0; i < CONNECTIONS; i++)
			done += requested[i];
	}
	assert_int_equal(accepted, CONNECTIONS);
	assert_int_equal(done, CONNECTIONS);
}

static void
check_request(int fd)
{
	char request[1024] = "";
	size_t size = 0;

	while (strstr(request, "\r\n\r\n") == NULL) {
		const ssize_t n = recv(fd, request + size, sizeof request - 1 - size, 0);

		assert_true(n > 0);
		size += (size_t)n;
	}
	assert_memory_equal(request, "GET / HTTP/1.1\r\n", 16);
	assert_non_null(strcasestr(request, "\r\nHost: wisp.test\r\n"));
	assert_null(strcasestr(request, "\r\nConnection:"));
	assert_null(strcasestr(request, "\r\nUpgrade:"));
}

/* What the server says then is all there, on the socket that libwebsockets has. */
static void
check_answer(int server, struct lws *client)
{
	char text[sizeof answer] = "";
	const int fd = lws_get_socket_fd(client);
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	assert_int_equal(send(server, answer, strlen(answer), 0), strlen(answer));
	assert_int_equal(poll(&pollfd, 1, TURNS * TURN_MS), 1);
	assert_int_equal(recv(fd, text, sizeof text, 0), strlen(answer));
	assert_string_equal(text, answer);
}

static void
connections_do_not_wait_for_each_other(void **state)
{
	struct lws_vhost *vhosts[CONNECTIONS];
	struct lws_context *context = create_context(vhosts);
	uint16_t port;
	const int listener = listen_somewhere(&port);

	(void)state;
	for (size_t i = 0; i < CONNECTIONS; i++)
		begin(context, vhosts[i], port, &clients[i]);
	serve(context, listener);
	for (size_t i = 0; i < CONNECTIONS; i++)
		check_request(servers[i]);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		/* They may have been accepted in another order: each gets the answer on its own port. */
		for (size_t k = 0; k < CONNECTIONS; k++) {
			struct sockaddr_in here = {0}, there = {0};
			socklen_t size = sizeof here;

			assert_int_equal(
				getsockname(lws_get_socket_fd(clients[i]), (struct sockaddr *)&here, &size), 0);
			assert_int_equal(getpeername(servers[k], (struct sockaddr *)&there, &size), 0);
			if (here.sin_port == there.sin_port)
				check_answer(servers[k], clients[i]);
		}
	}
	lws_context_destroy(context);
	for (size_t i = 0; i < CONNECTIONS; i++)
		close(servers[i]);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_do_not_wait_for_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
