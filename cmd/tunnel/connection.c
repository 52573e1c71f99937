#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "address.h"
#include "header.h"
#include "log.h"
#include "wire.h"

/* Longer than any limit of ours: it is we who end attempts that take too long. */
#define LWS_TIMEOUT_S 60
/* libwebsockets has the request's path and host there. */
#define REQUEST_HEADER_DATA_SIZE (8 * 1024)
/* Some servers say much in their headers. */
#define ANSWER_SIZE_MAX (24 * 1024)
/* How often libwebsockets is served in a row: each time may call back, and a callback may make more to do. */
#define PUMP_MAX 64
#define PUMP_MIN 3

/* ---- libwebsockets ---- */

static int
append_headers(struct connection *connection, unsigned char **p, size_t room)
{
	const struct connection_request *request = &connection->request;
	char cookies[COOKIES_TEXT_SIZE];
	int n = 0;

	if (connection->state < CONNECTION_UPGRADE)
		return -1; /* the proxy is not to read it */
	if (!request->plain)
		n = snprintf((char *)*p, room,
			"Upgrade: websocket\r\n"
			"Connection: Upgrade\r\n"
			"Sec-WebSocket-Key: %s\r\n"
			"Sec-WebSocket-Version: 13\r\n"
			"%s",
			connection->key, request->offers_v2 ? "Sec-WebSocket-Protocol: " ANSWER_PROTOCOL "\r\n" : "");
	if (n < 0 || (size_t)n >= room)
		return -1;
	cookies_write(request->cookies, request->url, cookies);
	n += (int)headers_write(request->headers, cookies, (char *)*p + n, room - (size_t)n);
	if ((size_t)n >= room)
		return -1;
	*p += n;
	connection->requested = true;
	return 0;
}

/* What libwebsockets says of a connection that failed: often no more than the name of the function that found it. */
static const char *
explain(const char *text)
{
	static const char *const broken[] = {"SYSCALL", "read failed", "losed before", "unexpected eof"};

	if (strstr(text, "SSL err") != NULL)
		return "the TLS handshake failed";
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		if (strstr(text, broken[i]) != NULL)
			return "it was broken off";
	return text;
}

/* The connection failed before there was an answer to the upgrade. `text` is how libwebsockets puts it. */
static void
judge_connection_error(struct connection *connection, const char *text)
{
	if (!tls_judge(&connection->tls, connection->failure))
		failure_set(connection->failure, FAILURE_PASSING,
			"the connection failed before there was an answer (%s); check the port, whether it is ws or "
			"wss, and whether the server or its front allows HTTP/1.1",
			explain(text));
}

/*
 * libwebsockets has given up, before the answer was ours to read. After TLS 1.3's handshake, the server may still
 * refuse our certificate; when the request broke on that, nobody has read why.
 */
static void
judge_lws_end(struct connection *connection, struct lws *wsi, const char *text)
{
	if (connection->state == CONNECTION_UPGRADE)
		tls_read_alert(&connection->tls, lws_get_ssl(wsi));
	judge_connection_error(connection, text != NULL ? text : "it was broken off");
}

/* Only notes what happened. */
static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct lws_context *context = lws_get_context(wsi);
	struct connection *connection = context != NULL ? lws_context_user(context) : NULL;

	(void)user;
	if (connection == NULL || connection->state == CONNECTION_NONE)
		return 0; /* it is we who let go of it */
	connection->callback_count++;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_headers(connection, in, len);
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		judge_lws_end(connection, wsi, len > 0 ? in : NULL);
		connection->wsi = NULL;
		break;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		if (wsi != connection->wsi)
			break;
		judge_lws_end(connection, wsi, NULL);
		carrier_clear(&connection->carrier);
		connection->wsi = NULL;
		break;
	default:
		break;
	}
	return 0;
}

/*
 * Set up libwebsockets. The connection gets a vhost of its own, so that it never waits for another one to the same
 * server to become free.
 */
static bool
create_context(struct connection *connection)
{
	static const struct lws_protocols protocols[] = {
		{.name = "wisp", .callback = on_lws, .tx_packet_size = WIRE_BUFFER_SIZE},
		{0},
	};
	struct lws_context_creation_info info;

	/* One connection at a time, and libwebsockets' own few descriptors. */
	wire_context_info(&info, 16);
	info.options |= LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.protocols = protocols;
	info.provided_client_ssl_ctx = connection->tls.context;
	info.max_http_header_data = REQUEST_HEADER_DATA_SIZE;
	info.timeout_secs = LWS_TIMEOUT_S;
	info.connect_timeout_secs = LWS_TIMEOUT_S;
	info.user = connection;
	connection->context = lws_create_context(&info);
	connection->vhost = connection->context != NULL ? lws_create_vhost(connection->context, &info) : NULL;
	return connection->vhost != NULL;
}

/* ---- the watched socket ---- */

static void
unwatch(struct connection *connection)
{
	if (connection->fd >= 0)
		event_del(&connection->fd_event);
	connection->fd = -1;
}

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;

	(void)fd;
	if (what & EV_READ)
		connection->readable = true;
	connection->callbacks->event(connection->arg);
}

/* Before there is any data: what the system would do counts until then. */
static void
set_congestion(struct connection *connection)
{
	const char *name = connection->request.congestion;

	if (name == NULL || setsockopt(connection->fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0)
		return;
	if (!connection->congestion_refused)
		log_warning("--congestion %s: %s; see net.ipv4.tcp_allowed_congestion_control in sysctl", name,
			errno == ENOENT ? "the kernel does not have it" : strerror(errno));
	connection->congestion_refused = true;
}

/* libwebsockets may come with another socket at any time while it connects. */
static void
watch(struct connection *connection)
{
	const int fd = connection->wsi != NULL ? lws_get_socket_fd(connection->wsi) : -1;

	if (fd == connection->fd)
		return;
	unwatch(connection);
	if (fd < 0)
		return;
	if (event_assign(&connection->fd_event, connection->base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_fd,
		    connection) != 0 ||
		event_add(&connection->fd_event, NULL) != 0) {
		failure_set(connection->failure, FAILURE_PASSING, "cannot watch the connection");
		return;
	}
	connection->fd = fd;
	wire_tune_socket(fd);
	set_congestion(connection);
}

/* ---- the steps ---- */

/* What to do about a connection that cannot be made. */
static const char *
advice(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "; check the port, and whether the server runs";
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTUNREACH:
	case EADDRNOTAVAIL:
		return "; check whether this machine is connected to the network";
	default:
		return "";
	}
}

/* The connection broke, and nothing was said before that tells why. */
static void
judge_break(struct connection *connection, int error)
{
	failure_set(connection->failure, FAILURE_PASSING,
		"%s before there was an answer; check the port, and whether it is ws or wss", strerror(error));
}

/* Why a socket is broken: libwebsockets would keep the reason to itself. Returns false if it is. */
static bool
check_socket(struct connection *connection)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (connection->fd < 0 || getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error == 0)
		return true;
	if (connection->request.proxy != NULL)
		failure_set(connection->failure, FAILURE_PASSING, "the proxy %s: %s", connection->request.proxy->name,
			strerror(error));
	else
		failure_set(connection->failure, FAILURE_PASSING, "%s%s", strerror(error), advice(error));
	return false;
}

/* Whether TCP stands. libwebsockets is not served before that: it is not to begin with what comes next. */
static bool
is_established(struct connection *connection)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;

	if (connection->fd < 0) {
		lws_service(connection->context, -1); /* some versions have no socket at once */
		watch(connection);
	}
	return connection->fd >= 0 && check_socket(connection) &&
	       getpeername(connection->fd, (struct sockaddr *)&peer, &size) == 0;
}

/*
 * Why the socket broke during the upgrade. What the server has said before that is read first: it may be an alert,
 * which says more. Returns false if it did.
 */
static bool
check_nothing_is_left(struct connection *connection)
{
	char byte;

	if (connection->fd < 0 || recv(connection->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
		errno == EAGAIN || errno == EINTR)
		return true;
	judge_break(connection, errno);
	return false;
}

/* Let libwebsockets work until it has nothing left to do, or has written the request. It polls without waiting. */
static void
pump(struct connection *connection)
{
	for (int i = 0; i < PUMP_MAX && connection->wsi != NULL && !connection->requested; i++) {
		const unsigned before = connection->callback_count;

		if (!check_nothing_is_left(connection))
			break;
		lws_service(connection->context, -1);
		if (i >= PUMP_MIN && connection->callback_count == before &&
			lws_service_adjust_timeout(connection->context, 1, 0) != 0)
			break;
	}
}

static void
enter(struct connection *connection, enum connection_state state)
{
	const enum connection_state from = connection->state;

	connection->state = state;
	if (connection->callbacks->advanced != NULL)
		connection->callbacks->advanced(connection->arg, from);
}

/* ---- the answer ---- */

/*
 * The request is written: from here on socket and TLS are ours. libwebsockets would take a 101 with a Content-Length
 * for one with a body, an answer of 103 for the last one, and more of the kind.
 */
static void
take_over(struct connection *connection)
{
	lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
	carrier_init(&connection->carrier, connection->fd, lws_get_ssl(connection->wsi));
	memset(&connection->answer, 0, sizeof connection->answer);
	connection->received = 0;
	enter(connection, CONNECTION_ANSWER);
}

/* Nothing more comes, and there is no answer. */
static void
judge_silence(struct connection *connection)
{
	if (connection->tls.alert < 0 && connection->carrier.error != 0)
		judge_break(connection, connection->carrier.error);
	judge_connection_error(connection, "it was broken off");
}

/* See what has come of it, and leave what is behind it. */
static void
take_answer(struct connection *connection)
{
	struct answer *answer = &connection->answer;
	const size_t taken = answer_take(answer, connection->buffer, connection->received, connection->key,
		connection->request.offers_v2, connection->failure);

	connection->failure->answered = answer->kind == ANSWER_NO;
	if (answer->kind == ANSWER_OPENS)
		enter(connection, CONNECTION_OPEN);
	if (answer->kind == ANSWER_REDIRECTS) {
		enter(connection, CONNECTION_REDIRECTED);
		cookies_take(connection->request.cookies, connection->request.url, answer->head);
	}
	connection->received -= taken;
	memmove(connection->buffer, connection->buffer + taken, connection->received);
	if (answer->kind == ANSWER_INCOMPLETE && connection->received == ANSWER_SIZE_MAX)
		failure_set(connection->failure, FAILURE_ANSWERED,
			"the server's answer has more than %d KiB of headers; check the URL", ANSWER_SIZE_MAX / 1024);
	/* What came right behind the answer is here already: no event will tell of it. */
	connection->readable = true;
}

static void
read_answer(struct connection *connection)
{
	while (connection->state == CONNECTION_ANSWER && connection->failure->kind == FAILURE_NONE) {
		const ssize_t n = carrier_read(&connection->carrier, connection->buffer + connection->received,
			ANSWER_SIZE_MAX - connection->received);

		if (n == CARRIER_NOTHING)
			return;
		if (n == CARRIER_OVER) {
			judge_silence(connection);
			return;
		}
		connection->received += (size_t)n;
		take_answer(connection);
	}
}

/* ---- going on ---- */

void
connection_advance(struct connection *connection)
{
	const struct connection_request *request = &connection->request;

	if (connection->state == CONNECTION_TCP && is_established(connection)) {
		connection->reached = true;
		enter(connection, request->proxy != NULL ? CONNECTION_PROXY : CONNECTION_UPGRADE);
		if (request->proxy != NULL)
			proxy_handshake_begin(
				&connection->proxy_handshake, request->proxy, request->url, request->target);
	}
	if (connection->state == CONNECTION_PROXY &&
		proxy_handshake_advance(&connection->proxy_handshake, connection->fd, connection->failure))
		enter(connection, CONNECTION_UPGRADE);
	if (connection->state == CONNECTION_UPGRADE) {
		pump(connection);
		watch(connection);
		if (connection->wsi != NULL && connection->requested && connection->failure->kind == FAILURE_NONE)
			take_over(connection);
	}
	if (connection->state == CONNECTION_ANSWER)
		read_answer(connection);
}

void
connection_is_late(struct connection *connection)
{
	char address[ADDRESS_TEXT_SIZE];

	address_format((const struct sockaddr *)&connection->request.address->storage, address);
	if (connection->state == CONNECTION_PROXY)
		failure_set(connection->failure, FAILURE_PASSING, "no answer from the proxy %s; check %s",
			connection->request.proxy->name, connection->request.proxy->origin);
	else if (connection->state == CONNECTION_TCP)
		failure_set(connection->failure, FAILURE_PASSING,
			"no answer from %s: it is down, or a firewall drops us", address);
	else
		failure_set(connection->failure, FAILURE_PASSING,
			"no answer from the server; check the port, and whether it is ws or wss");
}

/* An open connection is over. */
static void
judge_end(struct connection *connection)
{
	if (connection->carrier.error != 0)
		failure_set(connection->failure, FAILURE_PASSING, "the connection broke: %s",
			strerror(connection->carrier.error));
	failure_set(connection->failure, FAILURE_PASSING, "the server closed the connection");
}

/*
 * Passed on one by one, records would be a system call and a wake-up each for the programs that they are for: four
 * times as many under load.
 */
bool
connection_read(struct connection *connection)
{
	ssize_t n = CARRIER_NOTHING;
	size_t received;

	while (WIRE_BUFFER_SIZE - connection->received >= WIRE_RECORD_SIZE) {
		n = carrier_read(&connection->carrier, connection->buffer + connection->received,
			WIRE_BUFFER_SIZE - connection->received);
		if (n <= 0)
			break;
		connection->received += (size_t)n;
	}
	connection->readable = n > 0;
	received = connection->received;
	connection->received = 0;
	if (received > 0 && !connection->callbacks->received(connection->arg, (uint8_t *)connection->buffer, received))
		return true;
	if (n == CARRIER_OVER)
		judge_end(connection);
	return received > 0;
}

const char *
connection_tls_version(const struct connection *connection)
{
	return connection->carrier.ssl != NULL ? SSL_get_version(connection->carrier.ssl) : "no TLS";
}

/* ---- life ---- */

/* Why a connection cannot even begin: most likely there is no route, which a datagram socket finds out, too. */
static int
connect_error(const struct sockaddr *sa, socklen_t size)
{
	const int fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int error = fd < 0 || connect(fd, sa, size) != 0 ? errno : ENOMEM;

	if (fd >= 0)
		close(fd);
	return error;
}

void
connection_start(struct connection *connection, const struct connection_request *request)
{
	const struct address *address = request->address;
	const struct sockaddr *sa = (const struct sockaddr *)&address->storage;
	char host[NI_MAXHOST];
	struct lws_client_connect_info info = {
		.context = connection->context,
		.vhost = connection->vhost,
		.address = host,
		.port = request->proxy != NULL ? request->proxy->port : request->url->port,
		.path = request->url->path,
		.host = request->host,
		.method = "GET",
		.alpn = "http/1.1",
		/* Without PIPELINE it would say "connection: close", too, and strict servers refuse that. */
		.ssl_connection = (request->url->tls ? LCCSCF_USE_SSL : 0) | LCCSCF_PIPELINE,
		.local_protocol_name = "wisp",
		.pwsi = &connection->wsi,
	};

	connection->request = *request;
	connection->state = CONNECTION_TCP;
	connection->requested = connection->reached = false;
	tls_aim(&connection->tls, request->certified, request->presents);
	if (!wisp_upgrade_key(connection->key)) {
		failure_set(connection->failure, FAILURE_PASSING, "no randomness for the WebSocket's key");
		return;
	}
	if (getnameinfo(sa, address->size, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0) {
		failure_set(connection->failure, FAILURE_PASSING, "an address of a strange kind");
		return;
	}
	if (lws_client_connect_via_info(&info) == NULL) {
		const int error = connect_error(sa, address->size);

		failure_set(connection->failure, FAILURE_PASSING, "%s%s", strerror(error), advice(error));
	}
	watch(connection);
}

void
connection_close(struct connection *connection)
{
	struct lws *wsi = connection->wsi;

	unwatch(connection);
	carrier_clear(&connection->carrier);
	connection->wsi = NULL;
	connection->state = CONNECTION_NONE;
	connection->readable = false;
	if (wsi != NULL)
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	ERR_clear_error(); /* a TLS that is broken cannot be closed well */
}

bool
connection_init(struct connection *connection, struct event_base *base, const struct tls_options *tls,
	const struct connection_callbacks *callbacks, void *arg, struct failure *failure)
{
	memset(connection, 0, sizeof *connection);
	connection->base = base;
	connection->callbacks = callbacks;
	connection->arg = arg;
	connection->failure = failure;
	connection->fd = -1;
	connection->buffer = malloc(WIRE_BUFFER_SIZE);
	if (!tls_init(&connection->tls, tls))
		return false;
	if (!create_context(connection) || connection->buffer == NULL) {
		log_error("cannot set up libwebsockets");
		return false;
	}
	return true;
}

void
connection_free(struct connection *connection)
{
	connection_close(connection);
	if (connection->context != NULL)
		lws_context_destroy(connection->context);
	connection->context = NULL;
	tls_free(&connection->tls);
	free(connection->buffer);
	connection->buffer = NULL;
}

bool
connection_reload(struct connection *connection)
{
	return tls_reload(&connection->tls);
}
