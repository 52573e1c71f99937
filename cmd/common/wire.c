#include "wire.h"

#include <string.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <wisp/session.h>

#include "clock.h"
#include "log.h"

#define CHUNK_MAX WIRE_BUFFER_SIZE
/* How much may wait unsent in the kernel before it calls the connection full. */
#define UNSENT_MAX (16 * 1024)
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
wire_init(struct wire *wire)
{
	pace_reset(&wire->pace);
	wire->chunk_size = wire->pace.chunk_size;
}

enum wire_result
wire_send(struct wire *wire, struct wisp_session *session, struct lws *wsi, enum lws_write_protocol protocol,
	uint64_t *sent)
{
	/* One for all: what is pulled into it is written before anything else happens. */
	static uint8_t buffer[LWS_PRE + WIRE_BUFFER_SIZE];

	for (int chunks = 0; chunks < CHUNKS_PER_TURN; chunks++) {
		size_t n;

		if (lws_partial_buffered(wsi) || lws_send_pipe_choked(wsi)) {
			pace_blocked(&wire->pace, clock_now_ms());
			wire->chunk_size = wire->pace.chunk_size;
			return WIRE_BLOCKED;
		}
		n = wisp_session_pull(session, buffer + LWS_PRE, WIRE_BUFFER_SIZE, wire->chunk_size, clock_now_ms());
		if (n == 0) {
			pace_reset(&wire->pace);
			return WIRE_DONE;
		}
		if (lws_write(wsi, buffer + LWS_PRE, n, protocol) < (int)n)
			return WIRE_BROKEN;
		*sent += n;
		pace_sent(&wire->pace, n);
		if (wire->chunk_size < CHUNK_MAX)
			wire->chunk_size *= 2;
	}
	return WIRE_MORE;
}
