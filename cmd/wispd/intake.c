#include "intake.h"

#include <poll.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "certificate.h"
#include "clock.h"
#include "log.h"
#include "wire.h"

/* Reads in one turn, before others have theirs. Of tiny packets a few reads are a lot of work. */
#define READS_PER_TURN 32
#define TURN_MS 10

/*
 * What libwebsockets reads in one turn of a client is gathered here, and passed on at the end of it: one by one, TLS
 * records would be a system call and a wake-up each for the destinations, four times as many under load.
 */
static uint8_t gathered[WIRE_BUFFER_SIZE];

static void
pass_gathered(struct intake *intake)
{
	const size_t n = intake->gathered_size;

	intake->gathered_size = 0;
	if (n > 0)
		intake->callbacks->data(intake->arg, gathered, n);
}

/* Take n bytes: in the client's own turn or, where libwebsockets looks at all of its sockets, in none. */
static void
gather(struct intake *intake, uint8_t *p, size_t n)
{
	if (!intake->in_turn || intake->greeting) {
		intake->callbacks->data(intake->arg, p, n);
		return;
	}
	while (n > 0) {
		const size_t room = sizeof gathered - intake->gathered_size;
		const size_t taken = n < room ? n : room;

		memcpy(gathered + intake->gathered_size, p, taken);
		intake->gathered_size += taken;
		p += taken;
		n -= taken;
		if (intake->gathered_size == sizeof gathered)
			pass_gathered(intake);
	}
}

/* One system call brings several TLS records. A turn reads until there are none left, so none is forgotten. */
static void
tune_tls(SSL_CTX *context, SSL_CTX **certificate)
{
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	certificate_show(context, certificate);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, WIRE_BUFFER_SIZE);
}

int
intake_on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct intake *intake;

	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS)
		tune_tls(user, lws_context_user(lws_get_context(wsi)));
	if (reason != LWS_CALLBACK_RAW_RX && reason != LWS_CALLBACK_RAW_CLOSE && reason != LWS_CALLBACK_WSI_DESTROY)
		return 0;
	intake = lws_get_opaque_user_data(wsi);
	if (intake == NULL)
		return 0;
	intake->called = true;
	if (reason == LWS_CALLBACK_RAW_RX) {
		gather(intake, in, len);
		return 0;
	}
	pass_gathered(intake);
	lws_set_opaque_user_data(wsi, NULL);
	intake->wsi = NULL;
	/* libwebsockets has limits of its own. The next client may get the same descriptor. */
	event_del(&intake->event);
	intake->callbacks->closed(intake->arg);
	return 0;
}

/* Let libwebsockets look at the socket until it finds nothing more. Returns whether there may be more to read. */
static bool
read_some(struct intake *intake)
{
	const uint64_t began_ms = clock_now_ms();

	for (int i = 0; i < READS_PER_TURN && intake->wsi != NULL; i++) {
		const bool flush = intake->greeting || lws_partial_buffered(intake->wsi);
		struct lws_pollfd pfd = {.fd = lws_get_socket_fd(intake->wsi), .events = POLLIN | POLLOUT};

		pfd.revents = (short)((intake->readable && !intake->paused ? POLLIN : 0) | (flush ? POLLOUT : 0));
		if (pfd.revents == 0)
			return false;
		intake->called = false;
		lws_service_fd(intake->context, &pfd);
		if (!intake->called && !flush && !intake->paused)
			intake->readable = false; /* what is not written yet would keep libwebsockets from reading */
		if (!intake->called && !(flush && intake->wsi != NULL && !lws_partial_buffered(intake->wsi)))
			return false;
		if (!intake->called && i > 0)
			return false;
		if (clock_now_ms() - began_ms >= TURN_MS)
			break;
	}
	return intake->wsi != NULL;
}

bool
intake_turn(struct intake *intake)
{
	bool more;

	intake->in_turn = true;
	more = read_some(intake);
	intake->in_turn = false;
	pass_gathered(intake);
	return more;
}

void
intake_pause(struct intake *intake, bool paused)
{
	intake->paused = paused;
	/* libwebsockets, too, must not read when it looks at all of its sockets. */
	if (intake->wsi != NULL)
		lws_rx_flow_control(intake->wsi, !paused);
}

static void
on_intake_event(evutil_socket_t fd, short what, void *arg)
{
	struct intake *intake = arg;

	(void)fd;
	if (what & EV_READ)
		intake->readable = true;
	intake->callbacks->edge(intake->arg);
}

bool
intake_open(struct intake *intake, struct lws_context *context, struct event_base *base, evutil_socket_t fd, bool tls,
	const char *name, const struct intake_callbacks *callbacks, void *arg)
{
	const lws_adoption_type type = LWS_ADOPT_SOCKET | (tls ? LWS_ADOPT_ALLOW_SSL : 0);
	const lws_sock_file_fd_type descriptor = {.sockfd = fd};

	*intake = (struct intake){
		.callbacks = callbacks, .arg = arg, .context = context, .greeting = true, .readable = true};
	/* It closes the socket when it fails. */
	intake->wsi =
		lws_adopt_descriptor_vhost(lws_get_vhost_by_name(context, "wisp"), type, descriptor, "wisp", NULL);
	if (intake->wsi == NULL) {
		if (tls) /* which begins at once */
			log_info("%s: turned away: it does not speak TLS", name);
		else
			log_warning("%s: turned away: out of memory", name);
		return false;
	}
	lws_set_opaque_user_data(intake->wsi, intake);
	event_assign(&intake->event, base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_intake_event, intake);
	if (event_add(&intake->event, NULL) == 0)
		return true;
	log_warning("%s: turned away: out of memory", name);
	intake_close(intake);
	return false;
}

void
intake_close(struct intake *intake)
{
	if (intake->wsi == NULL)
		return;
	event_del(&intake->event);
	lws_set_opaque_user_data(intake->wsi, NULL);
	lws_set_timeout(intake->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	intake->wsi = NULL;
}
