#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netdb.h>
#include <sys/socket.h>

#include "address.h"
#include "header.h"
#include "log.h"
#include "wire.h"

/* Longer than any limit of ours: it is we who end attempts that take too long. */
#define LWS_TIMEOUT_S 60
/* Some servers say much in their headers; libwebsockets' own limit is 4 KiB, with the request's path and host. */
#define ANSWER_SIZE_MAX (24 * 1024)
/* How often libwebsockets is served in a row: each time may call back, and a callback may make more to do. */
#define PUMP_MAX 64
#define PUMP_MIN 3

/* ---- libwebsockets ---- */

static int
append_headers(struct connection *connection, unsigned char **p, size_t room)
{
	const struct option_list *more = connection->request.headers;
	int n = 0;

	if (connection->state < CONNECTION_UPGRADE)
		return -1; /* the proxy is not to read it */
	if (!connection->request.plain)
		n = snprintf((char *)*p, room,
			"Upgrade: websocket\r\n"
			"Connection: Upgrade\r\n"
			"Sec-WebSocket-Key: %s\r\n"
			"Sec-WebSocket-Version: 13\r\n"
			"%s",
			connection->key,
			connection->request.offers_v2 ? "Sec-WebSocket-Protocol: " ANSWER_PROTOCOL "\r\n" : "");
	if (n < 0 || (size_t)n >= room)
		return -1;
	if (more != NULL)
		n += (int)headers_write(more, (char *)*p + n, room - (size_t)n);
	if ((size_t)n >= room)
		return -1;
	*p += n;
	return 0;
}

/* There is an answer to the upgrade. Returns 0 when it opens the tunnel. */
static int
take_answer(struct connection *connection, struct lws *wsi)
{
	answer_judge(wsi, connection->key, connection->request.offers_v2, &connection->answer, connection->failure);
	if (connection->answer.kind == ANSWER_REDIRECTS)
		connection->state = CONNECTION_REDIRECTED;
	if (connection->answer.kind != ANSWER_OPENS)
		return -1;
	connection->state = CONNECTION_OPEN;
	/* What came right behind the response is in libwebsockets already: no event will tell of it. */
	connection->readable = true;
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
	const struct tls *tls = &connection->tls;
	const char *alert = SSL_alert_desc_string_long(tls->alert);

	if (tls->refused != NULL)
		failure_set(connection->failure, FAILURE_LASTING,
			"the server's certificate is refused: %s; %s (--insecure would accept it)", tls->refused,
			tls->advice);
	else if (tls->outdated)
		failure_set(connection->failure, FAILURE_LASTING,
			"the server speaks neither TLS 1.2 nor 1.3, and what is older is not safe; it needs an update");
	else if (tls_alert_is_about_certificate(tls) && tls->options->cert == NULL)
		failure_set(connection->failure, FAILURE_LASTING,
			"the server wants a client certificate (%s); give one with --cert", alert);
	else if (tls_alert_is_about_certificate(tls))
		failure_set(connection->failure, FAILURE_LASTING,
			"the server refuses the client certificate (%s); check --cert", alert);
	else if (tls->alert >= 0)
		failure_set(connection->failure, FAILURE_PASSING, "the server ended TLS (%s)%s", alert,
			tls->options->cert == NULL ? "; it may want a client certificate (--cert)" : "");
	else
		failure_set(connection->failure, FAILURE_PASSING,
			"the connection failed before there was an answer (%s); check the port, and whether it is ws "
			"or wss",
			explain(text));
}

/*
 * The connection is over. libwebsockets gives `text` when it never stood. After TLS 1.3's handshake, the server may
 * still refuse our certificate; when the request broke on that, nobody has read why.
 */
static void
judge_end(struct connection *connection, struct lws *wsi, const char *text)
{
	if (connection->state == CONNECTION_REDIRECTED || connection->reading)
		return; /* connection_read() judges when all that came before the end has been passed on */
	if (connection->state == CONNECTION_UPGRADE && wsi != NULL)
		tls_read_alert(&connection->tls, lws_get_ssl(wsi));
	if (text != NULL || (connection->state == CONNECTION_UPGRADE && connection->tls.alert >= 0))
		judge_connection_error(connection, text != NULL ? text : "");
	failure_set(connection->failure, FAILURE_PASSING, "the server closed the connection");
}

/* What libwebsockets has read stands behind what it read before, or else in a buffer of its own. */
static int
take_bytes(struct connection *connection, const void *p, size_t n)
{
	char *end = connection->buffer + connection->received;

	if (connection->state != CONNECTION_OPEN)
		return 0;
	if (n > WIRE_BUFFER_SIZE - connection->received)
		return -1;
	if (p != end)
		memcpy(end, p, n);
	connection->received += n;
	return 0;
}

/* Only notes what happened. */
static int
on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct lws_context *context = lws_get_context(wsi);
	struct connection *connection = context != NULL ? lws_context_user(context) : NULL;

	(void)user;
	if (connection == NULL)
		return 0;
	connection->callback_count++;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_headers(connection, in, len);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		return take_answer(connection, wsi);
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		judge_end(connection, wsi, in != NULL && len > 0 ? in : "no reason given");
		connection->wsi = NULL;
		break;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
		connection->readable = true;
		break;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		return take_bytes(connection, in, len);
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
		judge_end(connection, wsi, NULL);
		break;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		if (wsi != connection->wsi)
			break;
		judge_end(connection, wsi, NULL);
		connection->wsi = NULL;
		break;
	default:
		break;
	}
	return 0;
}

static struct lws_context *
create_context(struct connection *connection)
{
	static const struct lws_protocols protocols[] = {
		{.name = "wisp", .callback = on_lws, .tx_packet_size = WIRE_BUFFER_SIZE},
		{0},
	};
	struct lws_context_creation_info info;

	/* One connection at a time, and libwebsockets' own few descriptors. */
	wire_context_info(&info, 16);
	info.protocols = protocols;
	info.provided_client_ssl_ctx = connection->tls.context;
	info.max_http_header_data = ANSWER_SIZE_MAX;
	info.timeout_secs = LWS_TIMEOUT_S;
	info.connect_timeout_secs = LWS_TIMEOUT_S;
	info.user = connection;
	return lws_create_context(&info);
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
}

/* ---- the steps ---- */

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
		failure_set(connection->failure, FAILURE_PASSING, "%s", strerror(error));
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
	failure_set(connection->failure, FAILURE_PASSING, "%s", strerror(errno));
	return false;
}

/* Let libwebsockets work until it has nothing left to do. It polls without waiting. */
static void
pump(struct connection *connection)
{
	for (int i = 0; i < PUMP_MAX && connection->wsi != NULL; i++) {
		const unsigned before = connection->callback_count;

		if (connection->state == CONNECTION_UPGRADE && !check_nothing_is_left(connection))
			break;
		lws_service(connection->context, -1);
		if (i >= PUMP_MIN && connection->callback_count == before &&
			lws_service_adjust_timeout(connection->context, 1, 0) != 0)
			break;
	}
}

void
connection_advance(struct connection *connection)
{
	const struct connection_request *request = &connection->request;

	if (connection->state == CONNECTION_TCP && is_established(connection)) {
		connection->state = request->proxy != NULL ? CONNECTION_PROXY : CONNECTION_UPGRADE;
		if (request->proxy != NULL)
			proxy_handshake_begin(&connection->proxy_handshake, request->proxy, request->url);
	}
	if (connection->state == CONNECTION_PROXY &&
		proxy_handshake_advance(&connection->proxy_handshake, connection->fd, connection->failure))
		connection->state = CONNECTION_UPGRADE;
	if (connection->state == CONNECTION_UPGRADE) {
		pump(connection);
		watch(connection);
		if (connection->state == CONNECTION_UPGRADE && connection->wsi != NULL)
			answer_look_for_withheld(connection->wsi, connection->failure);
	}
}

void
connection_is_late(struct connection *connection)
{
	char address[ADDRESS_TEXT_SIZE];

	address_format((const struct sockaddr *)&connection->request.address->storage, address);
	if (connection->state == CONNECTION_PROXY)
		failure_set(connection->failure, FAILURE_PASSING, "no answer from the proxy %s; check --proxy",
			connection->request.proxy->name);
	else if (connection->state == CONNECTION_TCP)
		failure_set(connection->failure, FAILURE_PASSING,
			"no answer from %s: it is down, or a firewall drops us", address);
	else
		failure_set(connection->failure, FAILURE_PASSING,
			"no answer from the server; check the port, and whether it is ws or wss");
}

void
connection_flush(struct connection *connection)
{
	if (connection->wsi != NULL && lws_partial_buffered(connection->wsi))
		pump(connection);
}

/* Read one TLS record, or what there is without TLS. Returns whether something came; *ended when nothing will any more.
 */
static bool
read_record(struct connection *connection, bool *ended)
{
	const size_t before = connection->received;
	char *p = connection->buffer + before;
	int size = (int)(WIRE_BUFFER_SIZE - before);

	*ended = lws_http_client_read(connection->wsi, &p, &size) != 0 || connection->wsi == NULL;
	return connection->received > before;
}

/*
 * Passed on one by one, records would be a system call and a wake-up each for the programs that they are for: four
 * times as many under load.
 */
bool
connection_read(struct connection *connection)
{
	bool ended = false;

	connection->received = 0;
	connection->reading = true;
	connection->readable = true;
	while (connection->readable && !ended && WIRE_BUFFER_SIZE - connection->received >= WIRE_RECORD_SIZE)
		connection->readable = read_record(connection, &ended);
	connection->reading = false;
	if (connection->received > 0 &&
		!connection->callbacks->received(connection->arg, (uint8_t *)connection->buffer, connection->received))
		return true;
	if (ended)
		judge_end(connection, NULL, NULL);
	return connection->received > 0;
}

const char *
connection_tls_version(const struct connection *connection)
{
	return connection->request.url->tls ? SSL_get_version(lws_get_ssl(connection->wsi)) : "no TLS";
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
		.address = host,
		.port = request->proxy != NULL ? request->proxy->port : request->url->port,
		.path = request->url->path,
		.host = request->host,
		.method = "GET",
		.alpn = "http/1.1",
		.ssl_connection = (request->url->tls ? LCCSCF_USE_SSL : 0) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.local_protocol_name = "wisp",
		.pwsi = &connection->wsi,
	};

	connection->request = *request;
	connection->state = CONNECTION_TCP;
	tls_aim(&connection->tls, request->url, request->presents);
	if (!wisp_upgrade_key(connection->key)) {
		failure_set(connection->failure, FAILURE_PASSING, "no randomness for the WebSocket's key");
		return;
	}
	if (getnameinfo(sa, address->size, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0) {
		failure_set(connection->failure, FAILURE_PASSING, "an address of a strange kind");
		return;
	}
	if (lws_client_connect_via_info(&info) == NULL)
		failure_set(connection->failure, FAILURE_PASSING, "%s", strerror(connect_error(sa, address->size)));
	watch(connection);
}

void
connection_close(struct connection *connection)
{
	unwatch(connection);
	if (connection->wsi != NULL)
		lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	connection->wsi = NULL;
	connection->state = CONNECTION_NONE;
	connection->readable = false;
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
	connection->context = create_context(connection);
	if (connection->context == NULL || connection->buffer == NULL) {
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
