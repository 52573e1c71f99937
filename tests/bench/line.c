/*
 * A line for the benchmarks: a TCP relay with a delay, a rate and a queue, which all connections share.
 *
 *     line TO_PORT [delay=MS] [rate=MBIT] [queue=BYTES] [records=1]
 *
 * delay    of each way; a round trip is twice that
 * rate     of each way, in Mbit/s; without it there is no limit, and no queue
 * queue    of each way: what waits to leave. When it is full, connections are not read until there is room, one piece
 *          of each in turn, so that TCP holds their senders back. Nothing is lost.
 * records  count the TLS records of application data that pass upwards
 *
 * It prints where it listens, and `connection at SECONDS` (CLOCK_MONOTONIC) for each that it accepts. At USR1, and at
 * its end, it prints what has left: `passed: up BYTES down BYTES records N`.
 *
 * TCP's handshake costs its round trip, although the kernel accepts at once: the far end is connected one delay later,
 * and what the near end sends is not let in before two.
 *
 * What is not as on a real line: rate and queue count payload, not headers; and bytes also wait in the kernel, before
 * the queue, in a receive buffer for each connection. That is kept as short as TCP allows; its size is printed.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Bytes leave in pieces of a packet, or of so much time at high rates. */
#define PIECE_NS 250000
#define PIECE_MIN 1500
#define PIECE_MAX (64 * 1024)
/* The kernel's receive buffer: what leaves in so much time. */
#define RECEIVE_NS 2000000
#define RECEIVE_MIN 4096
#define QUEUE_MAX (64 << 20)
/* What is under way in one direction, with the queue. */
#define UNDER_WAY_MAX (128 << 20)
#define DELAY_MAX_MS 10000
#define CONNECTIONS_MAX 8192
/* Pieces in a row, before other events have their turn. */
#define PIECES_PER_TURN 64
#define RECORD_HEADER_SIZE 5
#define RECORD_DATA 23
#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS 1000000

enum piece_kind {
	PIECE_DATA,
	PIECE_FIN,
	PIECE_RESET,
};

struct connection;

/* Bytes of a connection, on their way in one direction. */
struct piece {
	STAILQ_ENTRY(piece) entry;
	struct pipe *pipe;
	uint64_t leaves_ns;  /* the queue */
	uint64_t arrives_ns; /* at the other end */
	enum piece_kind kind;
	size_t size;
	size_t delivered; /* bytes */
	uint8_t data[];
};
STAILQ_HEAD(pieces, piece);

/* Where the bytes of a pipe are in its TLS records. */
struct records {
	uint8_t header[RECORD_HEADER_SIZE];
	size_t header_size;
	size_t rest; /* of the record */
};

/* One direction of a connection. */
struct pipe {
	TAILQ_ENTRY(pipe) entry;
	struct connection *connection;
	struct way *way;
	int from, to;          /* sockets; -1 before they are there */
	bool open;             /* the handshake allows it to be read */
	bool readable;         /* there may be something to read */
	bool listed;           /* among those that are read in turn */
	bool over;             /* nothing more is read */
	bool closed;           /* and the other end knows */
	struct pieces waiting; /* arrived, but the other end does not take it: until it does, nothing is read */
	struct records records;
};

struct connection {
	struct event near, far; /* edges of the sockets */
	struct event timer;     /* the handshake */
	int near_fd, far_fd;
	size_t pieces; /* under way or waiting */
	bool broken;   /* an end has gone, and the other is going to be told */
	bool reset;
	struct pipe up, down;
};

/* One direction of the line. */
struct way {
	struct event timer;
	struct pieces pieces;        /* in the order in which they leave, and arrive */
	struct piece *leaving;       /* the first in the queue */
	TAILQ_HEAD(, pipe) readable; /* in turn */
	size_t queued;               /* bytes that have not left */
	size_t under_way;            /* bytes that have not arrived */
	uint64_t free_ns;            /* when all of the queue will have left */
	uint64_t passed;             /* bytes that have left */
	uint64_t records;
};

static struct line {
	uint16_t to;
	uint64_t delay_ns;
	double ns_per_byte; /* 0 without a rate */
	size_t queue;
	size_t piece;
	int receive; /* bytes of the kernel's buffer; 0 for its own choice */
	bool counts_records;
	size_t connections;
	struct way up, down;
} line;

static struct event_base *base;

static void
die(const char *what)
{
	fprintf(stderr, "line: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Timers count microseconds: rather a little late than once more. */
static void
set_timer(struct event *timer, uint64_t delay_ns)
{
	const uint64_t us = (delay_ns + 999) / 1000;
	const struct timeval tv = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};

	if (event_add(timer, &tv) != 0)
		die("event_add");
}

/* ---- connections ---- */

static void
free_if_over(struct connection *c)
{
	if (c->pieces > 0 || !((c->up.closed && c->down.closed) || c->reset))
		return;
	event_del(&c->near);
	event_del(&c->timer);
	if (c->far_fd >= 0) {
		event_del(&c->far);
		close(c->far_fd);
	}
	close(c->near_fd);
	if (c->up.listed)
		TAILQ_REMOVE(&line.up.readable, &c->up, entry);
	if (c->down.listed)
		TAILQ_REMOVE(&line.down.readable, &c->down, entry);
	free(c);
	line.connections--;
}

static void
free_piece(struct piece *piece)
{
	piece->pipe->connection->pieces--;
	free(piece);
}

/* Nothing of the connection is of use any more. Its pieces go when they arrive. */
static void
reset_connection(struct connection *c)
{
	const struct linger at_once = {.l_onoff = 1};

	c->reset = c->broken = c->up.over = c->down.over = true;
	setsockopt(c->near_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	if (c->far_fd >= 0)
		setsockopt(c->far_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	for (struct pipe *pipe = &c->up; pipe != NULL; pipe = pipe == &c->up ? &c->down : NULL) {
		struct piece *piece;

		while ((piece = STAILQ_FIRST(&pipe->waiting)) != NULL) {
			STAILQ_REMOVE_HEAD(&pipe->waiting, entry);
			free_piece(piece);
		}
	}
}

/* ---- the near end of a way ---- */

/* Count the records whose header ends in these bytes. */
static void
count_records(struct pipe *pipe, const uint8_t *p, size_t n)
{
	struct records *r = &pipe->records;

	while (n > 0) {
		if (r->rest == 0) {
			r->header[r->header_size++] = *p++;
			n--;
			if (r->header_size < RECORD_HEADER_SIZE)
				continue;
			r->header_size = 0;
			r->rest = (size_t)r->header[3] << 8 | r->header[4];
			pipe->way->records += r->header[0] == RECORD_DATA;
		} else {
			const size_t taken = n < r->rest ? n : r->rest;

			r->rest -= taken;
			p += taken;
			n -= taken;
		}
	}
}

static void
enqueue(struct pipe *pipe, enum piece_kind kind, const uint8_t *data, size_t n, uint64_t at_ns)
{
	struct way *way = pipe->way;
	struct piece *piece = malloc(sizeof *piece + n);

	if (piece == NULL)
		die("malloc");
	if (n > 0)
		memcpy(piece->data, data, n);
	if (way->free_ns < at_ns)
		way->free_ns = at_ns;
	way->free_ns += (uint64_t)(line.ns_per_byte * (double)n);
	piece->pipe = pipe;
	piece->kind = kind;
	piece->size = n;
	piece->delivered = 0;
	piece->leaves_ns = way->free_ns;
	piece->arrives_ns = piece->leaves_ns + line.delay_ns;
	STAILQ_INSERT_TAIL(&way->pieces, piece, entry);
	if (way->leaving == NULL)
		way->leaving = piece;
	way->queued += n;
	way->under_way += n;
	pipe->connection->pieces++;
}

/* Read a piece into the queue. Returns whether there may be more to read. */
static bool
read_piece(struct pipe *pipe, uint64_t at_ns)
{
	static uint8_t buffer[PIECE_MAX];
	const ssize_t n = recv(pipe->from, buffer, line.piece, 0);

	if (n > 0) {
		if (line.counts_records && pipe->way == &line.up)
			count_records(pipe, buffer, (size_t)n);
		enqueue(pipe, PIECE_DATA, buffer, (size_t)n, at_ns);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	enqueue(pipe, n == 0 ? PIECE_FIN : PIECE_RESET, NULL, 0, at_ns);
	pipe->over = true;
	return false;
}

static bool
has_room(const struct way *way)
{
	if (line.ns_per_byte > 0 && way->queued + line.piece > line.queue)
		return false;
	return way->under_way < UNDER_WAY_MAX;
}

/* Give a pipe its place among those that are read, if it is to be read. */
static void
list(struct pipe *pipe)
{
	if (pipe->listed || !pipe->readable || pipe->over || !pipe->open || !STAILQ_EMPTY(&pipe->waiting))
		return;
	TAILQ_INSERT_TAIL(&pipe->way->readable, pipe, entry);
	pipe->listed = true;
}

/* Read what there is room for, or a turn's worth of it, a piece of each connection after the other. */
static void
fill(struct way *way, uint64_t at_ns)
{
	struct pipe *pipe;

	for (int i = 0; i < PIECES_PER_TURN && has_room(way) && (pipe = TAILQ_FIRST(&way->readable)) != NULL; i++) {
		TAILQ_REMOVE(&way->readable, pipe, entry);
		pipe->listed = false;
		pipe->readable = pipe->over ? false : read_piece(pipe, at_ns);
		list(pipe);
	}
}

/* ---- the far end of a way ---- */

/* An end does not take what is sent to it. The other is told in the usual way. */
static void
turn_back(struct pipe *pipe)
{
	struct connection *c = pipe->connection;
	struct pipe *back = pipe == &c->up ? &c->down : &c->up;

	if (c->broken)
		return;
	c->broken = c->up.over = c->down.over = true;
	enqueue(back, PIECE_RESET, NULL, 0, now_ns());
	set_timer(&back->way->timer, 0);
}

/* Hand over a piece. Returns false when the socket does not take all of it. */
static bool
hand_over(struct pipe *pipe, struct piece *piece)
{
	if (pipe->connection->broken && piece->kind != PIECE_RESET)
		return true;
	if (piece->kind == PIECE_DATA) {
		const ssize_t n =
			send(pipe->to, piece->data + piece->delivered, piece->size - piece->delivered, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN) {
			turn_back(pipe);
			return true;
		}
		piece->delivered += n > 0 ? (size_t)n : 0;
		return piece->delivered == piece->size;
	}
	if (piece->kind == PIECE_RESET) {
		reset_connection(pipe->connection);
	} else {
		shutdown(pipe->to, SHUT_WR);
		pipe->closed = true;
	}
	return true;
}

/* Deliver what has waited for the socket, as far as it goes now. */
static void
deliver_waiting(struct pipe *pipe)
{
	struct piece *piece;

	while ((piece = STAILQ_FIRST(&pipe->waiting)) != NULL) {
		if (!hand_over(pipe, piece))
			return;
		if (STAILQ_FIRST(&pipe->waiting) != piece)
			return; /* a reset took it along */
		STAILQ_REMOVE_HEAD(&pipe->waiting, entry);
		free_piece(piece);
	}
	list(pipe);
}

/* A piece has come through. */
static void
arrive(struct piece *piece)
{
	struct pipe *pipe = piece->pipe;
	struct connection *c = pipe->connection;

	if (STAILQ_EMPTY(&pipe->waiting) && hand_over(pipe, piece))
		free_piece(piece);
	else
		STAILQ_INSERT_TAIL(&pipe->waiting, piece, entry);
	free_if_over(c);
}

/* ---- a way ---- */

/* What has had its turn makes room in the queue. */
static void
leave(struct way *way, uint64_t at_ns)
{
	while (way->leaving != NULL && way->leaving->leaves_ns <= at_ns) {
		way->queued -= way->leaving->size;
		way->passed += way->leaving->size;
		way->leaving = STAILQ_NEXT(way->leaving, entry);
	}
}

/* Move everything on to where it is to be now, let in what there is room for, and come back in time for the next. */
static void
advance(struct way *way)
{
	const uint64_t at_ns = now_ns();
	struct piece *piece;

	leave(way, at_ns);
	fill(way, at_ns);
	leave(way, at_ns);
	while ((piece = STAILQ_FIRST(&way->pieces)) != NULL && piece != way->leaving && piece->arrives_ns <= at_ns) {
		STAILQ_REMOVE_HEAD(&way->pieces, entry);
		way->under_way -= piece->size;
		arrive(piece);
	}
	if (way->leaving != NULL && (piece == NULL || way->leaving->leaves_ns < piece->arrives_ns))
		piece = way->leaving;
	if (has_room(way) && !TAILQ_EMPTY(&way->readable)) {
		set_timer(&way->timer, 0);
	} else if (piece != NULL) {
		const uint64_t next_ns = piece == way->leaving ? piece->leaves_ns : piece->arrives_ns;

		set_timer(&way->timer, next_ns > at_ns ? next_ns - at_ns : 0);
	}
}

static void
on_way_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	advance(arg);
}

/* ---- events ---- */

/* One of a connection's sockets can be read, which `in` does, or written, which `out` does. */
static void
on_edge(struct connection *c, struct pipe *in, struct pipe *out, short what)
{
	if (what & EV_READ) {
		in->readable = true;
		list(in);
	}
	if (what & EV_WRITE)
		deliver_waiting(out);
	free_if_over(c);
	advance(&line.up);
	advance(&line.down);
}

static void
on_near(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	on_edge(c, &c->up, &c->down, what);
}

static void
on_far(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd;
	on_edge(c, &c->down, &c->up, what);
}

static void
watch(struct event *event, int fd, event_callback_fn callback, struct connection *c)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (event_assign(event, base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, callback, c) != 0 ||
		event_add(event, NULL) != 0)
		die("event_add");
}

/* Before a socket has a window. */
static void
limit_receiving(int fd)
{
	if (line.receive > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &line.receive, sizeof line.receive);
}

static void
connect_far(struct connection *c)
{
	const struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(line.to),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	c->far_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->far_fd < 0)
		die("socket");
	limit_receiving(c->far_fd);
	/* Why it fails is found when it is read. */
	(void)!connect(c->far_fd, (const struct sockaddr *)&sin, sizeof sin);
	c->up.to = c->down.from = c->far_fd;
	watch(&c->far, c->far_fd, on_far, c);
}

/* TCP's handshake: first it reaches the far end, then the answer is back. */
static void
on_handshake(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;

	(void)fd, (void)what;
	if (c->far_fd < 0) {
		connect_far(c);
		c->down.open = true;
		set_timer(&c->timer, line.delay_ns);
		return;
	}
	c->up.open = true;
	list(&c->up);
	advance(&line.up);
}

static void
init_pipe(struct pipe *pipe, struct connection *c, struct way *way)
{
	pipe->connection = c;
	pipe->way = way;
	pipe->from = pipe->to = -1;
	STAILQ_INIT(&pipe->waiting);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int size, void *arg)
{
	const uint64_t at_ns = now_ns();
	struct connection *c;

	(void)listener, (void)sa, (void)size, (void)arg;
	if (line.connections == CONNECTIONS_MAX || (c = calloc(1, sizeof *c)) == NULL) {
		close(fd);
		return;
	}
	printf("connection at %" PRIu64 ".%09" PRIu64 "\n", at_ns / NS_PER_S, at_ns % NS_PER_S);
	fflush(stdout);
	line.connections++;
	c->near_fd = fd;
	c->far_fd = -1;
	init_pipe(&c->up, c, &line.up);
	init_pipe(&c->down, c, &line.down);
	c->up.from = c->down.to = fd;
	watch(&c->near, fd, on_near, c);
	evtimer_assign(&c->timer, base, on_handshake, c);
	set_timer(&c->timer, line.delay_ns);
}

static void
print_passed(void)
{
	printf("passed: up %" PRIu64 " down %" PRIu64 " records %" PRIu64 "\n", line.up.passed, line.down.passed,
		line.up.records);
	fflush(stdout);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what, (void)arg;
	if (number == SIGUSR1)
		print_passed();
	else
		event_base_loopbreak(base);
}

/* ---- the program ---- */

static void
init_way(struct way *way)
{
	STAILQ_INIT(&way->pieces);
	TAILQ_INIT(&way->readable);
	evtimer_assign(&way->timer, base, on_way_timer, way);
}

/* How many bytes leave in so much time, within bounds. */
static size_t
bytes_in(uint64_t ns, size_t least, size_t most)
{
	const double n = line.ns_per_byte > 0 ? (double)ns / line.ns_per_byte : (double)most;

	return n < (double)least ? least : n > (double)most ? most : (size_t)n;
}

static bool
parse_options(int argc, char **argv)
{
	double delay_ms = 0, rate = 0, queue = 64 * 1024, records = 0;
	const struct {
		const char *name;
		double *value;
		double most;
	} options[] = {
		{"delay=", &delay_ms, DELAY_MAX_MS},
		{"rate=", &rate, 100000},
		{"queue=", &queue, QUEUE_MAX},
		{"records=", &records, 1},
	};
	const long to = argc >= 2 ? strtol(argv[1], NULL, 10) : 0;

	for (int i = 2; i < argc; i++) {
		bool known = false;

		for (size_t k = 0; k < sizeof options / sizeof *options; k++) {
			const size_t n = strlen(options[k].name);

			if (strncmp(argv[i], options[k].name, n) != 0)
				continue;
			*options[k].value = strtod(argv[i] + n, NULL);
			known = *options[k].value >= 0 && *options[k].value <= options[k].most;
		}
		if (!known)
			return false;
	}
	line.to = (uint16_t)to;
	line.delay_ns = (uint64_t)(delay_ms * NS_PER_MS);
	line.ns_per_byte = rate > 0 ? 8000 / rate : 0;
	line.queue = (size_t)queue;
	line.counts_records = records > 0;
	line.piece = bytes_in(PIECE_NS, PIECE_MIN, PIECE_MAX);
	line.receive = rate > 0 ? (int)bytes_in(RECEIVE_NS, RECEIVE_MIN, 1 << 20) : 0;
	return to > 0 && to <= UINT16_MAX && (rate == 0 || line.queue >= line.piece);
}

static void
listen_on_a_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int receive = 0;
	socklen_t size = sizeof sin, receive_size = sizeof receive;
	struct evconnlistener *listener;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	limit_receiving(fd); /* what it accepts has the same */
	if (bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		die("bind");
	listener = evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 4096, fd);
	if (listener == NULL || getsockname(fd, (struct sockaddr *)&sin, &size) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, &receive_size) != 0)
		die("listen");
	printf("listening on 127.0.0.1:%u\n", ntohs(sin.sin_port));
	printf("pieces of %zu bytes, a queue of %zu, and a receive buffer of %d for each connection\n", line.piece,
		line.queue, receive);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const int signals[] = {SIGUSR1, SIGTERM, SIGINT};
	struct event events[sizeof signals / sizeof *signals];
	struct event_config *config = event_config_new();
	struct rlimit limit;

	if (!parse_options(argc, argv)) {
		fprintf(stderr, "Usage: line TO_PORT [delay=MS] [rate=MBIT] [queue=BYTES] [records=1]\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (config == NULL || event_config_require_features(config, EV_FEATURE_ET) != 0 ||
		event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) != 0 ||
		event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME) != 0 ||
		(base = event_base_new_with_config(config)) == NULL)
		die("libevent");
	init_way(&line.up);
	init_way(&line.down);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		evsignal_assign(&events[i], base, signals[i], on_signal, NULL);
		event_add(&events[i], NULL);
	}
	listen_on_a_port();
	event_base_dispatch(base);
	print_passed();
	return 0;
}
