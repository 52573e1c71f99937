/*
 * The load of the benchmarks: the far end that answers, and programs that talk to it, directly or by SOCKS5.
 *
 *     load origin                       serve; prints the port. What it does for a connection, its first 9 bytes say:
 *                                       a letter, and a count of bytes (little endian).
 *     load relay TO_PORT                one connection at a time is passed on to a port, and nothing done to its bytes;
 *                                       prints the port
 *     load KIND VIA [OPTION=VALUE ...]  open connections, and print the seconds that they took all together
 *
 * KIND  down    the origin sends `bytes` to each connection
 *       up      each connection sends `bytes`, in writes of `write` bytes
 *       ask     each connection sends `bytes` and gets as many back
 *       echo    each connection sends in writes of `write` bytes and gets all of it back, `bytes` in all and then the
 *               end; 0 is without end
 *       count   print how many bytes the origin's echoes have carried, both ways together
 * VIA   socks:PORT or direct:PORT (then everything behind PORT leads to the origin)
 * OPTION  to=PORT of the origin; connections=N in all; together=N open at a time; bytes=N; write=N
 */
#include <errno.h>
#include <inttypes.h>
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
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BUFFER_SIZE (256 * 1024)
#define HEAD_SIZE 9
#define FOREVER UINT64_MAX
/* Writes in a row before other connections have their turn. */
#define WRITES_PER_TURN 16

enum phase {
	PHASE_GREETING, /* a SOCKS5 client waits for the method */
	PHASE_REQUEST,  /* and for the reply */
	PHASE_HEAD,     /* the origin waits for the first bytes */
	PHASE_DATA,
};

struct connection {
	struct event event;
	int fd;
	enum phase phase;
	uint64_t to_send;    /* bytes */
	uint64_t to_receive; /* bytes */
	uint8_t *rest;       /* what an echo could not send back at once: its last `waiting` bytes still have to go */
	size_t rest_size;
	size_t waiting;
	size_t handshake; /* bytes so far of the SOCKS5 answer or of the head */
	size_t head_sent;
	bool answers; /* the origin: what it sends, it sends when everything is received */
	bool echoes;
	uint8_t head[HEAD_SIZE];
};

static struct load {
	const char *kind;
	bool socks;
	bool is_origin;
	uint16_t via, to; /* ports */
	uint64_t connections, together, bytes, write;
	uint64_t begun, finished;
} load = {.connections = 1, .together = 1, .bytes = 1, .write = BUFFER_SIZE};

static struct event_base *base;
static uint8_t zeros[BUFFER_SIZE];
static uint64_t echoed_bytes;

static void begin(void);
static void on_event(evutil_socket_t fd, short what, void *arg);

_Noreturn static void
die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
add_connection(int fd, enum phase phase)
{
	struct connection *c = calloc(1, sizeof *c);
	const int on = 1;

	if (c == NULL)
		die("calloc");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->fd = fd;
	c->phase = phase;
	if (event_assign(&c->event, base, fd, EV_READ | EV_WRITE | EV_ET | EV_PERSIST, on_event, c) != 0 ||
		event_add(&c->event, NULL) != 0)
		die("event_add");
	if (load.is_origin)
		return;
	c->head[0] = (uint8_t)(load.kind[0] == 'd' ? 'G' : load.kind[0] == 'u' ? 'P' : load.kind[0] == 'a' ? 'R' : 'E');
	for (unsigned i = 0; i < 8; i++)
		c->head[1 + i] = (uint8_t)(load.bytes >> (8 * i));
	c->to_send = load.kind[0] == 'd' ? 0 : load.kind[0] == 'e' ? FOREVER : load.bytes;
	c->to_receive = load.kind[0] == 'e' ? FOREVER : load.kind[0] == 'u' ? 1 : load.bytes;
}

static void
end(struct connection *c)
{
	event_del(&c->event);
	close(c->fd);
	free(c->rest);
	free(c);
	if (load.is_origin)
		return;
	if (++load.finished == load.connections)
		event_base_loopbreak(base);
	else if (load.begun < load.connections)
		begin();
}

/* Returns how much was sent: 0 when the socket is full. */
static size_t
send_some(struct connection *c, const void *p, size_t n)
{
	const ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);

	if (sent >= 0)
		return (size_t)sent;
	if (errno != EAGAIN && errno != EINTR && !load.is_origin)
		die("send");
	return 0;
}

/* Returns whether there is more to send and room for it. */
static bool
send_data(struct connection *c)
{
	const size_t n = c->to_send < load.write ? (size_t)c->to_send : (size_t)load.write;
	uint8_t first[HEAD_SIZE + 65536];
	size_t sent;

	if (!load.is_origin && c->head_sent < HEAD_SIZE) {
		const size_t head = HEAD_SIZE - c->head_sent;
		const size_t data = n < sizeof first - HEAD_SIZE ? n : sizeof first - HEAD_SIZE;

		memcpy(first, c->head + c->head_sent, head);
		memset(first + head, 0, data);
		sent = send_some(c, first, head + data);
		c->head_sent += sent < head ? sent : head;
		if (sent <= head)
			return sent > 0 && (c->head_sent < HEAD_SIZE || c->to_send > 0);
		sent -= head;
	} else {
		if (n == 0)
			return false;
		sent = send_some(c, zeros, n);
	}
	if (c->to_send != FOREVER)
		c->to_send -= sent;
	return sent > 0;
}

/* The far end's view of the first bytes. */
static void
take_head(struct connection *c)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < 8; i++)
		count |= (uint64_t)c->head[1 + i] << (8 * i);
	c->phase = PHASE_DATA;
	switch (c->head[0]) {
	case 'G':
		c->to_send = count;
		break;
	case 'P':
		c->to_receive = count;
		c->to_send = 1;
		c->answers = true;
		break;
	case 'R':
		c->to_send = c->to_receive = count;
		c->answers = true;
		break;
	case 'E':
		c->echoes = true;
		c->to_receive = count > 0 ? count : FOREVER;
		break;
	default: { /* count */
		char text[32];
		const int n = snprintf(text, sizeof text, "%" PRIu64 "\n", echoed_bytes);

		send_some(c, text, (size_t)n);
		break;
	}
	}
}

/* Bytes of the SOCKS5 handshake, or of the head. Returns false when the connection has nothing more to read now. */
static bool
receive_handshake(struct connection *c)
{
	uint8_t answer[10];
	uint8_t request[] = {5, 1, 0, 1, 127, 0, 0, 1, (uint8_t)(load.to >> 8), (uint8_t)load.to};
	const size_t wanted = c->phase == PHASE_GREETING ? 2 : c->phase == PHASE_REQUEST ? 10 : HEAD_SIZE;
	uint8_t *p = c->phase == PHASE_HEAD ? c->head + c->handshake : answer;
	const ssize_t n = recv(c->fd, p, wanted - c->handshake, 0);

	if (n <= 0)
		return false;
	c->handshake += (size_t)n;
	if (c->handshake < wanted)
		return true;
	c->handshake = 0;
	if (c->phase == PHASE_HEAD) {
		take_head(c);
	} else if (c->phase == PHASE_GREETING) {
		send_some(c, request, sizeof request);
		c->phase = PHASE_REQUEST;
	} else {
		c->phase = PHASE_DATA;
	}
	return true;
}

/* An echo's bytes; those that do not fit are kept. */
static void
send_back(struct connection *c, const uint8_t *data, size_t size)
{
	const size_t sent = send_some(c, data, size);

	echoed_bytes += size + sent;
	if (sent == size)
		return;
	c->waiting = c->rest_size = size - sent;
	if ((c->rest = malloc(c->rest_size)) == NULL)
		die("malloc");
	memcpy(c->rest, data + sent, c->rest_size);
}

/* Those that were kept. */
static void
send_waiting(struct connection *c)
{
	while (c->waiting > 0) {
		const size_t sent = send_some(c, c->rest + (c->rest_size - c->waiting), c->waiting);

		if (sent == 0)
			return;
		c->waiting -= sent;
		echoed_bytes += sent;
	}
	free(c->rest);
	c->rest = NULL;
}

/* Returns whether to go on; `over` when the connection has come to its end. */
static bool
receive_data(struct connection *c, bool *over)
{
	static uint8_t buffer[BUFFER_SIZE];
	ssize_t n;

	if (c->echoes && c->waiting > 0)
		return false;
	n = recv(c->fd, buffer, sizeof buffer, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		if (!load.is_origin && c->to_receive > 0) {
			errno = n == 0 ? ECONNRESET : errno;
			die("cut off");
		}
		*over = true;
		return false;
	}
	if (c->to_receive != FOREVER)
		c->to_receive -= (uint64_t)n < c->to_receive ? (uint64_t)n : c->to_receive;
	if (c->echoes)
		send_back(c, buffer, (size_t)n);
	return true;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	bool over = false;

	(void)fd;
	if (what & EV_WRITE)
		send_waiting(c);
	while (c->phase != PHASE_DATA && receive_handshake(c))
		;
	if (c->phase != PHASE_DATA) {
		char byte;

		if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
			return;
		if (!load.is_origin)
			die("cut off in the handshake");
		end(c);
		return;
	}
	while (receive_data(c, &over))
		;
	if (!(c->answers && c->to_receive > 0)) {
		bool more = true;

		for (int i = 0; more && i < WRITES_PER_TURN; i++)
			more = send_data(c);
		if (more)
			event_active(&c->event, EV_WRITE, 0);
	}
	if (over || (c->to_send == 0 && c->to_receive == 0 && c->waiting == 0 &&
			    (load.is_origin || c->head_sent == HEAD_SIZE)))
		end(c);
}

static void
begin(void)
{
	static const uint8_t greeting[] = {5, 1, 0};
	const struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(load.via),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&sin, sizeof sin) != 0)
		die("connect");
	if (evutil_make_socket_nonblocking(fd) != 0)
		die("non-blocking");
	load.begun++;
	if (load.socks && send(fd, greeting, sizeof greeting, MSG_NOSIGNAL) != sizeof greeting)
		die("send");
	add_connection(fd, load.socks ? PHASE_GREETING : PHASE_DATA);
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int size, void *arg)
{
	(void)listener, (void)sa, (void)size, (void)arg;
	add_connection(fd, PHASE_HEAD);
}

/* Pass on what there is, 64 KiB at the most. Returns false at the end. */
static bool
pass_on(int from, int to)
{
	static uint8_t buffer[64 * 1024];
	const ssize_t n = recv(from, buffer, sizeof buffer, 0);

	return n > 0 && send(to, buffer, (size_t)n, MSG_NOSIGNAL) == n;
}

/* The least that a relay can do: what it costs is the kernel's price of a relay. */
_Noreturn static void
relay(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof sin;
	const int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (listener < 0 || bind(listener, (struct sockaddr *)&sin, size) != 0 || listen(listener, 16) != 0 ||
		getsockname(listener, (struct sockaddr *)&sin, &size) != 0)
		die("listen");
	printf("listening on 127.0.0.1:%u\n", ntohs(sin.sin_port));
	fflush(stdout);
	sin.sin_port = htons(port);
	for (;;) {
		const int near = accept(listener, NULL, NULL), far = socket(AF_INET, SOCK_STREAM, 0);
		struct pollfd ends[] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
		bool open = true;

		if (near < 0 || far < 0 || connect(far, (struct sockaddr *)&sin, sizeof sin) != 0)
			die("connect");
		setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		while (open && poll(ends, 2, -1) > 0) {
			if (ends[0].revents != 0)
				open = pass_on(near, far);
			if (open && ends[1].revents != 0)
				open = pass_on(far, near);
		}
		close(near);
		close(far);
	}
}

static int
serve(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof sin;
	struct evconnlistener *listener = evconnlistener_new_bind(
		base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 4096, (struct sockaddr *)&sin, sizeof sin);

	load.is_origin = true;
	if (listener == NULL || getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&sin, &size) != 0)
		die("listen");
	printf("listening on 127.0.0.1:%u\n", ntohs(sin.sin_port));
	fflush(stdout);
	return event_base_dispatch(base);
}

static int
run(void)
{
	const double start_s = now_s();

	while (load.begun < load.connections && load.begun < load.together)
		begin();
	event_base_dispatch(base);
	printf("%.6f\n", now_s() - start_s);
	return 0;
}

/* Ask the origin, which is not far: there is nothing between. */
static int
print_count(void)
{
	const struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(load.via),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const char head[HEAD_SIZE] = "C";
	char text[32] = "";
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&sin, sizeof sin) != 0 ||
		send(fd, head, sizeof head, MSG_NOSIGNAL) != sizeof head || recv(fd, text, sizeof text - 1, 0) <= 0)
		die("count");
	fputs(text, stdout);
	close(fd);
	return 0;
}

static uint16_t
parse_port(const char *text)
{
	return (uint16_t)strtoul(text, NULL, 10);
}

static bool
parse_option(const char *text)
{
	static const struct {
		const char *name;
		uint64_t *value;
	} options[] = {
		{"connections=", &load.connections},
		{"together=", &load.together},
		{"bytes=", &load.bytes},
		{"write=", &load.write},
	};

	if (strncmp(text, "to=", 3) == 0) {
		load.to = parse_port(text + 3);
		return true;
	}
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		const size_t n = strlen(options[i].name);

		if (strncmp(text, options[i].name, n) == 0) {
			*options[i].value = strtoull(text + n, NULL, 10);
			return true;
		}
	}
	return false;
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	struct event_config *config = event_config_new();
	bool good = argc >= 2;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (config == NULL || event_config_require_features(config, EV_FEATURE_ET) != 0 ||
		(base = event_base_new_with_config(config)) == NULL)
		die("libevent");
	if (argc == 2 && strcmp(argv[1], "origin") == 0)
		return serve();
	if (argc == 3 && strcmp(argv[1], "relay") == 0)
		relay(parse_port(argv[2]));
	load.kind = good ? argv[1] : "";
	good = argc >= 3 && (strncmp(argv[2], "socks:", 6) == 0 || strncmp(argv[2], "direct:", 7) == 0);
	if (good) {
		load.socks = argv[2][0] == 's';
		load.via = parse_port(strchr(argv[2], ':') + 1);
	}
	for (int i = 3; good && i < argc; i++)
		good = parse_option(argv[i]);
	if (!good || load.write == 0 || load.write > sizeof zeros) {
		fprintf(stderr, "Usage: load origin | load relay TO_PORT | load down|up|ask|echo|count "
				"socks:PORT|direct:PORT [OPTION=VALUE ...]\n");
		return 2;
	}
	return strcmp(load.kind, "count") == 0 ? print_count() : run();
}
