#include "wire.h"

#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <wisp/session.h>

#include "carrier.h"
#include "clock.h"
#include "log.h"

#define CHUNK_MAX WIRE_BUFFER_SIZE
/* How much may wait unsent in the kernel before it calls the connection full. */
#define UNSENT_MAX (16 * 1024)
/* How many TLS records of the largest size go into one system call. */
#define RECORD_OVERHEAD_MAX 256
#define BATCH_SIZE (4 * (WIRE_RECORD_SIZE + RECORD_OVERHEAD_MAX))
/* After so many chunks, others get their turn. */
#define CHUNKS_PER_TURN 8

static void
on_lws_log(int level, const char *line)
{
	(void)level;
	log_trace("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

void
wire_init_log(void)
{
	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_NOTICE, on_lws_log);
}

void
wire_context_info(struct lws_context_creation_info *info, unsigned fd_limit)
{
	memset(info, 0, sizeof *info);
	info->port = CONTEXT_PORT_NO_LISTEN;
	info->options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info->pt_serv_buf_size = WIRE_BUFFER_SIZE;
	info->fd_limit_per_thread = fd_limit;
}

void
wire_tune_socket(int fd)
{
	const int on = 1, unsent = UNSENT_MAX;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

void
wire_init(struct wire *wire, struct lws *wsi, struct carrier *carrier)
{
	wire->wsi = wsi;
	wire->carrier = carrier;
	pace_reset(&wire->pace);
	wire->chunk_size = wire->pace.chunk_size;
	wire->batch = NULL;
}

/*
 * OpenSSL writes each record by itself: have it write into a buffer, which is flushed after each chunk. That copies
 * each byte once more, and still saves a tenth of the whole: of system calls, segments and wake-ups at the other end
 * there is a quarter left. Idle connections never come here, and do without the buffer.
 */
static void
begin_batches(struct wire *wire, SSL *ssl)
{
	BIO *socket = SSL_get_wbio(ssl);
	BIO *batch = BIO_new(BIO_f_buffer());

	if (batch == NULL || BIO_set_write_buffer_size(batch, BATCH_SIZE) != 1 || BIO_up_ref(socket) != 1) {
		BIO_free(batch);
		return;
	}
	BIO_push(batch, socket);
	SSL_set0_wbio(ssl, batch);
	wire->batch = batch;
}

/*
 * Whether a pull may bring something: of what is pending, or of streams that have gathered for long enough. Most often
 * there is nothing, and no need to ask the socket.
 */
static bool
wants_to_send(const struct wisp_session *session)
{
	return wisp_session_pending(session) || wisp_session_deadline_ms(session) != 0;
}

bool
wire_flush(struct wire *wire)
{
	const bool flushed = wire->batch == NULL || BIO_flush(wire->batch) == 1;

	if (!flushed)
		ERR_clear_error(); /* or the next call's result would be told by it */
	return flushed;
}

/* Whether there is something from before that has to go first. */
static bool
keeps_something(const struct wire *wire)
{
	return wire->carrier != NULL ? carrier_keeps(wire->carrier) : lws_partial_buffered(wire->wsi) != 0;
}

static bool
takes_nothing(const struct wire *wire)
{
	return wire->carrier != NULL ? carrier_is_full(wire->carrier) : lws_send_pipe_choked(wire->wsi) != 0;
}

/* Write it, or have it kept. `p` has LWS_PRE bytes before it. Returns false when the connection is broken. */
static bool
write_chunk(const struct wire *wire, uint8_t *p, size_t n)
{
	return wire->carrier != NULL ? carrier_write(wire->carrier, p, n)
				     : lws_write(wire->wsi, p, n, LWS_WRITE_RAW) >= (int)n;
}

enum wire_result
wire_send(struct wire *wire, struct wisp_session *session, uint64_t *sent)
{
	/* One for all: what is pulled into it is written before anything else happens. */
	static uint8_t buffer[LWS_PRE + WIRE_BUFFER_SIZE];
	SSL *ssl = wire->carrier != NULL ? wire->carrier->ssl : lws_get_ssl(wire->wsi);

	if (wire->carrier != NULL && !carrier_flush(wire->carrier))
		return WIRE_BROKEN;
	for (int chunks = 0; chunks < CHUNKS_PER_TURN; chunks++) {
		size_t n;

		if (keeps_something(wire) || !wire_flush(wire) || (wants_to_send(session) && takes_nothing(wire))) {
			pace_blocked(&wire->pace, clock_now_ms());
			wire->chunk_size = wire->pace.chunk_size;
			return WIRE_BLOCKED;
		}
		n = wisp_session_pull(session, buffer + LWS_PRE, WIRE_BUFFER_SIZE, wire->chunk_size, clock_now_ms());
		if (n == 0) {
			pace_reset(&wire->pace);
			return WIRE_DONE;
		}
		if (n > WIRE_RECORD_SIZE && ssl != NULL && wire->batch == NULL)
			begin_batches(wire, ssl);
		if (!write_chunk(wire, buffer + LWS_PRE, n))
			return WIRE_BROKEN;
		*sent += n;
		pace_sent(&wire->pace, n);
		if (!wire_flush(wire))
			return WIRE_BLOCKED;
		if (wire->chunk_size < CHUNK_MAX)
			wire->chunk_size *= 2;
	}
	return WIRE_MORE;
}
