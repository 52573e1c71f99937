#include "server.h"

#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "accounts.h"
#include "authorized.h"
#include "certificate.h"
#include "intake.h"
#include "listener.h"
#include "log.h"
#include "own.h"
#include "peer.h"
#include "resolver.h"
#include "target.h"
#include "timer.h"
#include "wire.h"

/* How many connections beyond --max-per-address may be told so; more are closed without a word. */
#define TOLD_MAX 8
/* What libwebsockets has open besides the peers. */
#define LWS_DESCRIPTORS 16
/* libwebsockets ends TLS connections in steps, which it has to be given the time for. */
#define TICK_MS 1000

static void
take(struct server *server, evutil_socket_t fd, const struct sockaddr *from)
{
	struct source *source;
	const size_t excess = sources_admit(&server->sources, server->options->max_per_address, from, &source);
	bool taken = false;

	if (excess > TOLD_MAX)
		close(fd);
	else
		taken = peer_new(server, fd, from, source, excess > 0);
	if (!taken)
		sources_leave(&server->sources, source);
}

static void
on_accepted(evutil_socket_t fd, const struct sockaddr *from, void *arg)
{
	struct server *server = arg;

	take(server, fd, from);
	if (server->peer_count < server->options->max_clients)
		return;
	if (!server->full)
		log_warning("%zu clients are connected, more have to wait; see --max-clients", server->peer_count);
	server->full = true;
	for (size_t i = 0; i < server->listener_count; i++)
		listener_pause(server->listeners[i]);
}

void
server_forget(struct server *server, struct peer *peer)
{
	TAILQ_REMOVE(&server->peers, peer, entry);
	sources_leave(&server->sources, peer->source);
	server->peer_count--;
	if (server->peer_count < server->options->max_clients / 2)
		server->full = false; /* the next time is worth a line again */
	for (size_t i = 0; i < server->listener_count; i++)
		listener_resume(server->listeners[i]);
}

void
server_report(const struct server *server)
{
	log_info("%zu clients, %zu destinations, %zu bytes wait for them", server->peer_count, server->target_count,
		server->backlog_bytes + server->draining_bytes);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	struct peer *peer;

	(void)fd, (void)what;
	lws_service(server->context, -1);
	TAILQ_FOREACH (peer, &server->peers, entry)
		if (peer->intake.paused)
			peer_check_budget(peer);
}

/* Returns false when it is of no use, and leaves what there is in force: logged. */
static bool
load_certificate(struct server *server)
{
	SSL_CTX *certificate = certificate_read(server->options->cert, server->options->cert_key);

	if (certificate == NULL)
		return false;
	SSL_CTX_free(server->certificate);
	server->certificate = certificate;
	return true;
}

static struct lws_context *
create_context(struct server *server)
{
	static const struct lws_protocols protocols[] = {
		{.name = "wisp", .callback = intake_on_lws, .tx_packet_size = WIRE_BUFFER_SIZE},
		{0},
	};
	struct lws_context_creation_info info;

	wire_context_info(&info, (unsigned)server->options->max_clients + LWS_DESCRIPTORS);
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.vhost_name = "wisp";
	info.protocols = protocols;
	info.alpn = "http/1.1"; /* else it is libwebsockets' default, and HTTP/2 would be its own to speak */
	info.ssl_cert_filepath = server->options->cert;
	info.ssl_private_key_filepath = server->options->cert_key;
	info.user = &server->certificate;
	return lws_create_context(&info);
}

static enum wisp_password
check_password(void *arg, const char *user, size_t user_size, const char *password, size_t password_size)
{
	const struct server *server = arg;

	return accounts_check(server->accounts, user, user_size, password, password_size);
}

static const struct wisp_public_key *
find_key(void *arg, const uint8_t hash[WISP_KEY_HASH_SIZE])
{
	const struct server *server = arg;

	return authorized_find(server->authorized, hash);
}

/* Read who may come in. Returns false when a file cannot be used, and leaves what there is in force: logged. */
static bool
load_credentials(struct server *server)
{
	const struct server_options *options = server->options;
	struct accounts *accounts = NULL;
	struct authorized *authorized = NULL;

	if (options->user_file != NULL)
		accounts = accounts_read("user-file", options->user_file);
	if (options->authorized_keys != NULL)
		authorized = authorized_read("authorized-keys", options->authorized_keys);
	if ((options->user_file != NULL && accounts == NULL) ||
		(options->authorized_keys != NULL && authorized == NULL)) {
		accounts_free(accounts);
		authorized_free(authorized);
		return false;
	}
	accounts_free(server->accounts);
	authorized_free(server->authorized);
	server->accounts = accounts;
	server->authorized = authorized;
	return true;
}

/* What clients are offered, and whom it lets in. Returns false when a file cannot be used: logged. */
static bool
set_up_wisp(struct server *server)
{
	const struct server_options *options = server->options;

	server->wisp = (struct wisp_server_options){
		.credit = (uint32_t)options->buffer_packets,
		.udp = !options->no_udp,
		.end_of_data = true,
		.motd = options->motd != NULL && options->motd[0] != '\0' ? options->motd : NULL,
		.check_password = options->user_file != NULL ? check_password : NULL,
		.find_key = options->authorized_keys != NULL ? find_key : NULL,
		.arg = server,
	};
	return load_credentials(server);
}

bool
server_check(const struct server_options *options)
{
	SSL_CTX *certificate = options->cert != NULL ? certificate_read(options->cert, options->cert_key) : NULL;
	struct server server = {.options = options};
	bool good = load_credentials(&server);

	good = good && (options->cert == NULL || certificate != NULL);
	SSL_CTX_free(certificate);
	accounts_free(server.accounts);
	authorized_free(server.authorized);
	return good;
}

bool
server_start(struct server *server, struct event_base *base, const struct server_options *options)
{
	memset(server, 0, sizeof *server);
	server->base = base;
	server->options = options;
	server->own = own_open();
	TAILQ_INIT(&server->peers);
	TAILQ_INIT(&server->draining);
	event_assign(&server->tick_timer, base, -1, EV_PERSIST, on_tick, server);
	if (options->cert != NULL && !load_certificate(server))
		return false;
	if (!set_up_wisp(server))
		return false;
	server->resolver = resolver_new(base);
	server->dialer = (struct dialer){base, server->resolver, &server->target_count, &options->max_targets};
	server->context = create_context(server);
	if (server->resolver == NULL || server->context == NULL || !timer_set(&server->tick_timer, TICK_MS)) {
		log_error("cannot set up libwebsockets");
		return false;
	}
	for (size_t i = 0; i < options->endpoints.count; i++) {
		server->listeners[i] = listener_new(base, &options->endpoints.items[i], on_accepted, server);
		if (server->listeners[i] == NULL)
			return false;
		server->listener_count++;
	}
	return true;
}

/* A file that cannot be used leaves what there is in force. */
void
server_reload(struct server *server)
{
	const struct server_options *options = server->options;

	log_info("reading credentials and certificates again");
	load_credentials(server);
	if (options->cert != NULL)
		load_certificate(server);
}

void
server_stop(struct server *server)
{
	struct peer *peer;

	for (size_t i = 0; i < server->listener_count; i++)
		listener_free(server->listeners[i]);
	server->listener_count = 0;
	while ((peer = TAILQ_FIRST(&server->peers)) != NULL)
		peer_free(peer);
	target_drop_draining(server);
	resolver_share_leave(&server->names);
	event_del(&server->tick_timer);
	if (server->context != NULL)
		lws_context_destroy(server->context);
	SSL_CTX_free(server->certificate);
	if (server->own >= 0)
		close(server->own);
	resolver_free(server->resolver);
	accounts_free(server->accounts);
	authorized_free(server->authorized);
}
