#include "association.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/tree.h>
#include <sys/uio.h>

#include "address.h"
#include "client.h"
#include "clock.h"
#include "datagrams.h"
#include "log.h"
#include "turn.h"

#define ASSOCIATIONS_MAX 1024
#define STREAMS_MAX 256
/* What may wait for the tunnel. */
#define WAITING_MAX 131072
/* Datagrams in one turn, before others have theirs. */
#define READS_PER_TURN 64
#define DATAGRAM_MAX 65536

/* A destination as the program names it, and its stream. */
struct flow {
	RB_ENTRY(flow) by_address;
	TAILQ_ENTRY(flow) by_use;
	struct association *association;
	struct wisp_stream *stream;
	struct datagram_flow waiting;
	uint64_t used_ms;
	size_t address_size;
	const uint8_t *address; /* as it stands in the headers */
};

RB_HEAD(flow_tree, flow);
TAILQ_HEAD(flow_list, flow);

struct association {
	struct client *client;
	struct event event; /* of the socket */
	struct event again; /* there may be more in it */
	struct event timer; /* for the flow that has been silent for the longest */
	struct flow_tree flows;
	struct flow_list used; /* the least recently used first */
	size_t flow_count;
	struct datagram_pool pool;
	struct sockaddr_storage local;   /* of the socket */
	struct sockaddr_storage program; /* where it sends from, when the socket is connected to that */
	uint16_t from_port;              /* from which the program says that it sends, or 0 */
	bool connected;
	int fd;
};

static int
compare_addresses(const struct flow *a, const struct flow *b)
{
	if (a->address_size != b->address_size)
		return a->address_size < b->address_size ? -1 : 1;
	return memcmp(a->address, b->address, a->address_size);
}

/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyzer cannot see that a node was removed before it was freed */
RB_GENERATE_INTERNAL(flow_tree, flow, by_address, compare_addresses, static __attribute__((unused)))

/* ---- flows ---- */

/* Forget a flow whose stream is over. */
static void
flow_free(struct flow *flow)
{
	struct association *association = flow->association;

	datagram_flow_clear(&flow->waiting);
	RB_REMOVE(flow_tree, &association->flows, flow);
	TAILQ_REMOVE(&association->used, flow, by_use);
	association->flow_count--;
	association->client->bridge->udp_stream_count--;
	free(flow);
}

static void
flow_close(struct flow *flow)
{
	wisp_stream_close(flow->stream, WISP_REASON_VOLUNTARY);
	flow_free(flow);
}

static void
flow_use(struct flow *flow)
{
	struct flow_list *used = &flow->association->used;

	flow->used_ms = clock_now_ms();
	TAILQ_REMOVE(used, flow, by_use);
	TAILQ_INSERT_TAIL(used, flow, by_use);
}

/* Close what has been silent for too long, and wait for the next one to be. */
static void
check_silence(struct association *association)
{
	const uint64_t limit_ms = association->client->bridge->options->udp_timeout_ms;
	const uint64_t now_ms = clock_now_ms();
	struct flow *flow;
	struct timeval tv;

	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
	while ((flow = TAILQ_FIRST(&association->used)) != NULL && now_ms - flow->used_ms >= limit_ms)
		flow_close(flow);
	if (flow == NULL)
		return;
	tv = clock_timeval(limit_ms - (now_ms - flow->used_ms));
	evtimer_add(&association->timer, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	check_silence(arg);
}

/* ---- the streams ---- */

static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK;
}

static size_t
on_stream_read(void *arg, uint8_t *p, size_t n)
{
	struct flow *flow = arg;
	size_t size;

	if (!datagram_pop(&flow->waiting, p, n, &size))
		return 0;
	flow->association->client->bridge->counters.up_bytes += size;
	return size == 0 ? WISP_EMPTY_DATAGRAM : size;
}

static size_t
on_stream_available(void *arg)
{
	const struct flow *flow = arg;

	return datagram_next_size(&flow->waiting);
}

/*
 * An answer: the program gets it with its source as it named it. What the socket does not take is lost; but the first
 * attempt may only bring the news that an earlier one found nobody.
 */
static void
on_stream_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct flow *flow = arg;
	uint8_t header[WISP_SOCKS5_DATAGRAM_HEADER_MAX];
	struct iovec parts[] = {
		{header, wisp_socks5_datagram_encode(header, flow->address, flow->address_size)},
		{p, n},
	};
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	(void)last;
	flow->association->client->bridge->counters.down_bytes += n;
	flow_use(flow);
	if (sendmsg(flow->association->fd, &message, MSG_NOSIGNAL) < 0 && !would_block(errno))
		sendmsg(flow->association->fd, &message, MSG_NOSIGNAL);
}

static void
on_stream_closed(void *arg, uint8_t reason)
{
	struct flow *flow = arg;
	struct bridge *bridge = flow->association->client->bridge;

	log_debug("stream %u: %s (0x%02x)", wisp_stream_id(flow->stream), wisp_reason_text(reason), reason);
	counters_end(&bridge->counters, ends_judge(&bridge->ends, bridge->options->ends_mode, reason, false));
	flow_free(flow);
}

static const struct wisp_stream_callbacks stream_callbacks = {
	.data = on_stream_data,
	.closed = on_stream_closed,
	.read = on_stream_read,
	.available = on_stream_available,
};

/* ---- what the program sends ---- */

static struct flow *
find_flow(struct association *association, const struct wisp_socks5_datagram *datagram)
{
	struct flow key = {.address = datagram->address, .address_size = datagram->address_size};

	return RB_FIND(flow_tree, &association->flows, &key);
}

/*
 * See to it that there may be another flow: the least recently used one goes. Returns false when none can: streams
 * count until the server has taken their CLOSE, so that a program with ever new destinations does not pile them up.
 */
static bool
make_room(struct association *association, const struct wisp_session *session)
{
	const size_t limit = association->client->bridge->options->max_clients + ASSOCIATION_STREAMS_MAX;
	const bool room = association->flow_count < STREAMS_MAX &&
			  association->client->bridge->udp_stream_count < ASSOCIATION_STREAMS_MAX;

	if (wisp_session_stream_count(session) >= limit)
		return false;
	if (!room && association->flow_count > 0)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
		flow_close(TAILQ_FIRST(&association->used));
	return room || association->client->bridge->udp_stream_count < ASSOCIATION_STREAMS_MAX;
}

static struct flow *
new_flow(struct association *association, const struct wisp_socks5_datagram *datagram)
{
	struct bridge *bridge = association->client->bridge;
	struct wisp_session *session = tunnel_session(bridge->tunnel);
	const struct wisp_socks5_destination *to = &datagram->destination;
	const struct wisp_destination destination = {WISP_UDP, to->port, to->host, to->host_size};
	struct flow *flow;
	char text[ADDRESS_JOINED_SIZE];

	if (session == NULL || !make_room(association, session))
		return NULL;
	flow = calloc(1, sizeof *flow + datagram->address_size);
	if (flow == NULL)
		return NULL;
	flow->stream = wisp_stream_open(session, &destination, &stream_callbacks, flow);
	if (flow->stream == NULL) {
		free(flow);
		return NULL;
	}
	log_debug("stream %u: UDP to %s", wisp_stream_id(flow->stream), address_join(to->host, to->port, text));
	flow->association = association;
	flow->address = memcpy(flow + 1, datagram->address, datagram->address_size);
	flow->address_size = datagram->address_size;
	datagram_flow_init(&flow->waiting, &association->pool);
	RB_INSERT(flow_tree, &association->flows, flow);
	TAILQ_INSERT_TAIL(&association->used, flow, by_use);
	association->flow_count++;
	bridge->udp_stream_count++;
	bridge->counters.udp_streams++;
	return flow;
}

/* Datagrams that are malformed, in fragments, or come while there is no tunnel are lost. */
static void
take_datagram(struct association *association, const uint8_t *p, size_t n)
{
	struct wisp_socks5_datagram datagram;
	struct flow *flow;

	if (!wisp_socks5_datagram_decode(p, n, &datagram) || datagram.fragment != 0)
		return;
	flow = find_flow(association, &datagram);
	if (flow == NULL)
		flow = new_flow(association, &datagram);
	if (flow == NULL)
		return;
	flow_use(flow);
	if (!evtimer_pending(&association->timer, NULL))
		check_silence(association);
	datagram_push(&flow->waiting, p + datagram.header_size, n - datagram.header_size);
	wisp_stream_ready(flow->stream);
}

/* ---- the socket ---- */

/* Whether two addresses are of the same host. */
static bool
same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET6)
		return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
	return a->ss_family == AF_INET && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

static uint16_t
port_of(const struct sockaddr_storage *address)
{
	struct sockaddr_in in;

	_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "");
	memcpy(&in, address, sizeof in);
	return ntohs(in.sin_port);
}

/* What a listener for IPv4 and IPv6 calls an IPv4 address is an IPv6 one that stands for it. */
static void
unmap(struct sockaddr_storage *address, socklen_t *size)
{
	const struct sockaddr_in6 in6 = *(const struct sockaddr_in6 *)address;
	struct sockaddr_in *in = (struct sockaddr_in *)address;

	if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
		return;
	memset(address, 0, sizeof *address);
	in->sin_family = AF_INET;
	in->sin_port = in6.sin6_port;
	memcpy(&in->sin_addr, in6.sin6_addr.s6_addr + 12, sizeof in->sin_addr);
	*size = sizeof *in;
}

/* The address that belongs to the program: that of its connection, or ours when it came by a Unix socket. */
static bool
is_program(const struct association *association, const struct sockaddr_storage *source)
{
	struct sockaddr_storage peer = {0};
	socklen_t size = sizeof peer;

	if (association->from_port != 0 && port_of(source) != association->from_port)
		return false;
	if (getpeername(relay_socket(association->client->relay), (struct sockaddr *)&peer, &size) != 0)
		return false;
	unmap(&peer, &size);
	return same_host(source, peer.ss_family == AF_UNIX ? &association->local : &peer);
}

/*
 * The first datagram of the program shows where it sends from: from then on the kernel drops all others, but for those
 * that it already had.
 */
static bool
check_source(struct association *association, const struct sockaddr_storage *source, socklen_t size)
{
	if (association->connected)
		return same_host(source, &association->program) && port_of(source) == port_of(&association->program);
	if (!is_program(association, source))
		return false;
	association->program = *source;
	association->connected = connect(association->fd, (const struct sockaddr *)source, size) == 0;
	return association->connected;
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t buffer[DATAGRAM_MAX];
	struct association *association = arg;

	(void)fd, (void)what;
	for (int reads = 0; reads < READS_PER_TURN; reads++) {
		struct sockaddr_storage source = {0};
		socklen_t size = sizeof source;
		const ssize_t n =
			recvfrom(association->fd, buffer, sizeof buffer, 0, (struct sockaddr *)&source, &size);

		if (n < 0 && would_block(errno))
			return;
		/* Any other error is news of an answer that did not reach the program. */
		if (n >= 0 && check_source(association, &source, size))
			take_datagram(association, buffer, (size_t)n);
	}
	turn_again(&association->again);
}

/* Where to listen: on the address at which the program reached us, or on loopback when it came by a Unix socket. */
static bool
local_address(const struct client *client, struct sockaddr_storage *address, socklen_t *size)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;

	*size = sizeof *address;
	if (getsockname(relay_socket(client->relay), (struct sockaddr *)address, size) != 0)
		return false;
	unmap(address, size);
	if (address->ss_family == AF_INET6) {
		((struct sockaddr_in6 *)address)->sin6_port = 0;
		return true;
	}
	if (address->ss_family != AF_INET) {
		memset(address, 0, sizeof *address);
		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		*size = sizeof *in;
	}
	in->sin_port = 0;
	return true;
}

static bool
open_socket(struct association *association)
{
	struct event_base *base = association->client->bridge->base;
	struct sockaddr *local = (struct sockaddr *)&association->local;
	socklen_t size;

	if (!local_address(association->client, &association->local, &size))
		return false;
	association->fd = socket(local->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (association->fd < 0 || bind(association->fd, local, size) != 0 ||
		getsockname(association->fd, local, &size) != 0)
		return false;
	return event_assign(&association->event, base, association->fd, EV_READ | EV_ET | EV_PERSIST, on_socket,
		       association) == 0 &&
	       event_add(&association->event, NULL) == 0;
}

static void
tell_address(const struct association *association, struct wisp_socks5_address *address)
{
	const struct sockaddr_in6 *in6 = (const void *)&association->local;
	const struct sockaddr_in *in = (const void *)&association->local;
	const bool v6 = association->local.ss_family == AF_INET6;

	address->bytes = v6 ? (const uint8_t *)&in6->sin6_addr : (const uint8_t *)&in->sin_addr;
	address->size = v6 ? sizeof in6->sin6_addr : sizeof in->sin_addr;
	address->port = port_of(&association->local);
}

/* ---- life ---- */

struct association *
association_new(struct client *client, const struct wisp_socks5_destination *from, struct wisp_socks5_address *address)
{
	struct bridge *bridge = client->bridge;
	const bool room = bridge->association_count < ASSOCIATIONS_MAX;
	struct association *association = room ? calloc(1, sizeof *association) : NULL;

	if (!room)
		log_warning("no UDP for a program: %zu others have it", bridge->association_count);
	else if (association == NULL)
		log_warning("no UDP for a program: out of memory");
	if (association == NULL)
		return NULL;
	association->client = client;
	association->fd = -1;
	association->from_port = from->port;
	RB_INIT(&association->flows);
	TAILQ_INIT(&association->used);
	datagram_pool_init(&association->pool, WAITING_MAX);
	evtimer_assign(&association->timer, bridge->base, on_timer, association);
	evtimer_assign(&association->again, bridge->base, on_socket, association);
	bridge->association_count++;
	if (!open_socket(association)) {
		log_warning("no UDP for a program: %s", strerror(errno));
		association_free(association);
		return NULL;
	}
	tell_address(association, address);
	return association;
}

void
association_free(struct association *association)
{
	if (association == NULL)
		return;
	while (!TAILQ_EMPTY(&association->used))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
		flow_close(TAILQ_FIRST(&association->used));
	evtimer_del(&association->timer);
	evtimer_del(&association->again);
	if (association->fd >= 0) {
		if (event_initialized(&association->event))
			event_del(&association->event);
		close(association->fd);
	}
	association->client->bridge->association_count--;
	free(association);
}
