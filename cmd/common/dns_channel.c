#include "dns_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CARES_NO_DEPRECATED /* their replacements are missing in c-ares 1.18 */
#include <ares.h>
#include <event2/event_struct.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "clock.h"

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free" /* the analyzer does not follow lists of sys/queue.h */
#endif

/* The largest answer over UDP: it fits into a packet on every way (dnsflagday.net/2020). */
#define EDNS_SIZE 1232
#define CLASS_IN 1
#define HEADER_SIZE 12
#define RCODE_NXDOMAIN 3

/* A socket of the channel. */
struct dns_socket {
	LIST_ENTRY(dns_socket) entry;
	struct dns_channel *channel;
	evutil_socket_t fd;
	short what;
	struct event event;
};

struct dns_channel {
	struct event_base *base;
	struct address server;
	struct dns_manner manner;
	ares_channel ares;
	LIST_HEAD(dns_socket_list, dns_socket) sockets;
	struct event timer; /* c-ares' time-outs */
	size_t asked;
	size_t waiting;
};

struct dns_question {
	struct dns_channel *channel;
	enum dns_type type;
	dns_callback *callback;
	void *arg;
};

/* ---- sockets: they are ours, for servers with a scope (fe80::1%eth0), which c-ares 1.18 does not know ---- */

static ares_socket_t
open_dns_socket(int family, int type, int protocol, void *arg)
{
	(void)arg;
	return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static int
close_dns_socket(ares_socket_t fd, void *arg)
{
	(void)arg;
	return close(fd);
}

static int
connect_dns_socket(ares_socket_t fd, const struct sockaddr *sa, ares_socklen_t size, void *arg)
{
	const struct dns_channel *channel = arg;

	(void)sa, (void)size;
	return connect(fd, (const struct sockaddr *)&channel->server.storage, channel->server.size);
}

static ares_ssize_t
receive_dns(
	ares_socket_t fd, void *data, size_t n, int flags, struct sockaddr *from, ares_socklen_t *from_size, void *arg)
{
	(void)arg;
	return recvfrom(fd, data, n, flags, from, from_size);
}

/* That nothing listens there is told of an earlier question, and would be lost on that if it were taken for this one's.
 */
static ares_ssize_t
send_dns(ares_socket_t fd, const struct iovec *data, int count, void *arg)
{
	const ssize_t n = writev(fd, data, count);

	(void)arg;
	return n < 0 && errno == ECONNREFUSED ? writev(fd, data, count) : n;
}

/* ---- the loop ---- */

static void
set_dns_timer(struct dns_channel *channel)
{
	struct timeval tv;

	if (ares_timeout(channel->ares, NULL, &tv) != NULL)
		evtimer_add(&channel->timer, &tv);
	else
		evtimer_del(&channel->timer);
}

static void
on_dns_socket(evutil_socket_t fd, short what, void *arg)
{
	const struct dns_socket *sock = arg;
	struct dns_channel *channel = sock->channel;

	/* The socket may be gone after that. */
	ares_process_fd(channel->ares, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_dns_timer(channel);
}

static void
on_dns_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dns_channel *channel = arg;

	(void)fd, (void)what;
	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_dns_timer(channel);
}

static struct dns_socket *
find_dns_socket(struct dns_channel *channel, evutil_socket_t fd)
{
	struct dns_socket *sock;

	LIST_FOREACH(sock, &channel->sockets, entry)
	if (sock->fd == fd)
		return sock;
	sock = calloc(1, sizeof *sock);
	if (sock == NULL)
		return NULL;
	sock->channel = channel;
	sock->fd = fd;
	LIST_INSERT_HEAD(&channel->sockets, sock, entry);
	return sock;
}

static void
forget_dns_socket(struct dns_socket *sock)
{
	if (sock->what != 0)
		event_del(&sock->event);
	LIST_REMOVE(sock, entry);
	free(sock);
}

/*
 * c-ares wants to watch a socket for other events; it wants neither when it closes the socket. Without memory for the
 * event, the query times out.
 */
static void
on_dns_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *channel = arg;
	struct dns_socket *sock = find_dns_socket(channel, fd);
	const short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

	if (sock == NULL || sock->what == what)
		return;
	if (what == 0) {
		forget_dns_socket(sock);
		return;
	}
	if (sock->what != 0)
		event_del(&sock->event);
	event_assign(&sock->event, channel->base, fd, (short)(what | EV_PERSIST), on_dns_socket, sock);
	sock->what = what;
	if (event_add(&sock->event, NULL) != 0)
		sock->what = 0;
}

/* ---- the channel ---- */

/* Set every option, so that c-ares reads none of the system's files. */
static int
init_ares(struct dns_channel *channel, unsigned timeout_ms)
{
	char lookups[] = "b";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP |
			 (channel->manner.edns ? ARES_FLAG_EDNS : 0) | (channel->manner.tcp ? ARES_FLAG_USEVC : 0),
		.timeout = (int)timeout_ms,
		.tries = 1,
		.ndots = 1,
		.ednspsz = EDNS_SIZE,
		.lookups = lookups,
		.sock_state_cb = on_dns_socket_state,
		.sock_state_cb_data = channel,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_EDNSPSZ |
		   ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST |
		   ARES_OPT_NOROTATE;

#ifdef ARES_OPT_QUERY_CACHE
	mask |= ARES_OPT_QUERY_CACHE; /* of no seconds: we have our own */
#endif
	return ares_init_options(&channel->ares, &options, mask);
}

static int
set_server(struct dns_channel *channel)
{
	static const struct ares_socket_functions functions = {
		.asocket = open_dns_socket,
		.aclose = close_dns_socket,
		.aconnect = connect_dns_socket,
		.arecvfrom = receive_dns,
		.asendv = send_dns,
	};
	const struct sockaddr_in *in = (const struct sockaddr_in *)&channel->server.storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&channel->server.storage;
	const int port = ntohs(in->sin_port);
	struct ares_addr_port_node node = {.family = in->sin_family, .udp_port = port, .tcp_port = port};

	if (node.family == AF_INET)
		node.addr.addr4 = in->sin_addr;
	else
		memcpy(&node.addr.addr6, &in6->sin6_addr, sizeof node.addr.addr6);
	ares_set_socket_functions(channel->ares, &functions, channel);
	return ares_set_servers_ports(channel->ares, &node);
}

struct dns_channel *
dns_channel_new(struct event_base *base, const struct address *server, struct dns_manner manner, unsigned timeout_ms)
{
	struct dns_channel *channel = calloc(1, sizeof *channel);

	if (channel == NULL)
		return NULL;
	channel->base = base;
	channel->server = *server;
	channel->manner = manner;
	LIST_INIT(&channel->sockets);
	evtimer_assign(&channel->timer, base, on_dns_timer, channel);
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS || init_ares(channel, timeout_ms) != ARES_SUCCESS) {
		free(channel);
		return NULL;
	}
	if (set_server(channel) == ARES_SUCCESS)
		return channel;
	dns_channel_free(channel);
	return NULL;
}

void
dns_channel_free(struct dns_channel *channel)
{
	struct dns_socket *sock;

	ares_destroy(channel->ares);
	while ((sock = LIST_FIRST(&channel->sockets)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
		forget_dns_socket(sock);
	evtimer_del(&channel->timer);
	free(channel);
	ares_library_cleanup();
}

size_t
dns_channel_asked(const struct dns_channel *channel)
{
	return channel->asked;
}

size_t
dns_channel_waiting(const struct dns_channel *channel)
{
	return channel->waiting;
}

/* ---- questions ---- */

static void
parse_a(const unsigned char *p, int n, struct dns_answer *answer)
{
	struct ares_addrttl found[ADDRESSES_MAX];
	int count = ADDRESSES_MAX;

	if (ares_parse_a_reply(p, n, NULL, found, &count) != ARES_SUCCESS)
		return;
	for (int i = 0; i < count; i++) {
		memcpy(&answer->addresses[i], &found[i].ipaddr, sizeof found[i].ipaddr);
		if (i == 0 || (uint32_t)found[i].ttl < answer->ttl_s)
			answer->ttl_s = found[i].ttl > 0 ? (uint32_t)found[i].ttl : 0;
	}
	answer->count = (size_t)count;
}

static void
parse_aaaa(const unsigned char *p, int n, struct dns_answer *answer)
{
	struct ares_addr6ttl found[ADDRESSES_MAX];
	int count = ADDRESSES_MAX;

	if (ares_parse_aaaa_reply(p, n, NULL, found, &count) != ARES_SUCCESS)
		return;
	for (int i = 0; i < count; i++) {
		memcpy(&answer->addresses[i], &found[i].ip6addr, sizeof answer->addresses[i]);
		if (i == 0 || (uint32_t)found[i].ttl < answer->ttl_s)
			answer->ttl_s = found[i].ttl > 0 ? (uint32_t)found[i].ttl : 0;
	}
	answer->count = (size_t)count;
}

/* RFC 1035 section 4.1.1. */
static enum dns_result
result_of_rcode(unsigned char rcode)
{
	switch (rcode & 0xf) {
	case 0:
		return DNS_NO_DATA;
	case 1:
		return DNS_BAD_FORM;
	case 2:
		return DNS_SERVER_FAILED;
	case RCODE_NXDOMAIN:
		return DNS_NO_NAME;
	default:
		return DNS_REFUSED;
	}
}

static enum dns_result
result_of_status(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return DNS_SILENT;
	case ARES_EDESTRUCTION:
	case ARES_ECANCELLED:
		return DNS_ENDED;
	default:
		return DNS_REFUSED;
	}
}

static void
on_ares_answer(void *arg, int status, int timeouts, unsigned char *p, int n)
{
	struct dns_question *question = arg;
	struct dns_answer answer = {.result = result_of_status(status)};

	(void)timeouts;
	question->channel->waiting--;
	if (status == ARES_SUCCESS && n >= HEADER_SIZE)
		answer.result = result_of_rcode(p[3]);
	if (answer.result == DNS_NO_DATA && question->type == DNS_A)
		parse_a(p, n, &answer);
	else if (answer.result == DNS_NO_DATA)
		parse_aaaa(p, n, &answer);
	if (answer.count > 0)
		answer.result = DNS_FOUND;
	else if (answer.result == DNS_NO_DATA)
		answer.ttl_s = p[8] != 0 || p[9] != 0; /* the number of records of authority */
	question->callback(&answer, question->arg);
	free(question);
}

/* An id for a query. c-ares 1.18 takes its own from rand() where it cannot open /dev/urandom, as in our sandbox. */
static unsigned short
random_id(void)
{
	unsigned short id = 0;

	return getrandom(&id, sizeof id, GRND_NONBLOCK) == sizeof id ? id : (unsigned short)clock_now_us();
}

void
dns_channel_ask(struct dns_channel *channel, const char *name, enum dns_type type, dns_callback *callback, void *arg)
{
	struct dns_question *question = calloc(1, sizeof *question);
	const struct dns_answer failed = {.result = DNS_REFUSED};
	unsigned char *query = NULL;
	int size = 0;

	channel->asked++;
	if (question == NULL || ares_create_query(name, CLASS_IN, (int)type, random_id(), 1, &query, &size,
					channel->manner.edns ? EDNS_SIZE : 0) != ARES_SUCCESS) {
		free(question);
		callback(&failed, arg);
		return;
	}
	*question = (struct dns_question){.channel = channel, .type = type, .callback = callback, .arg = arg};
	channel->waiting++;
	ares_send(channel->ares, query, size, on_ares_answer, question);
	ares_free_string(query);
	set_dns_timer(channel);
}
