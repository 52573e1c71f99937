#include "resolver.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include "hosts_file.h"
#include "log.h"
#include "lookup.h"
#include "turn.h"
#include "watched.h"

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* the analyzer does not follow lists of sys/queue.h */
#endif

#define RESOLV_CONF "/etc/resolv.conf"
#define NSSWITCH_CONF "/etc/nsswitch.conf"
/* More of such a file is not read. */
#define SETTINGS_SIZE ((size_t)64 << 10)
/* A part of a name. */
#define LABEL_MAX_SIZE 63
/*
 * Names that are being looked up at a time: in all, and of one share. But each share may have a few, whatever the
 * others do.
 */
#define RUNNING_MAX 1024
#define SHARE_RUNNING_MAX 64
#define SHARE_RUNNING_ALWAYS 4
#define STARTS_PER_TURN 256

/* What the files said at one time, for those that were started then. */
struct settings {
	TAILQ_ENTRY(settings) entry;
	struct lookup_settings lookup;
	size_t use_count;
};

/* A share's queries. */
struct resolver_queue {
	TAILQ_ENTRY(resolver_queue) entry; /* while some wait: in the resolver's round */
	TAILQ_HEAD(waiting_list, resolver_query) waiting;
	size_t query_count;   /* all of them, also those that nobody wants any more */
	size_t wanted_count;  /* those that somebody wants */
	size_t running_count; /* those that are looked up */
	bool left;            /* its owner is gone */
};

struct resolver {
	struct event_base *base;
	struct watched resolv_conf;
	struct watched nsswitch_conf;
	struct hosts_file hosts;
	struct settings *settings; /* the current ones; NULL before the first name */
	TAILQ_HEAD(settings_list, settings) all_settings;
	struct resolver_share own; /* what is charged to nobody */
	TAILQ_HEAD(queue_list, resolver_queue) round;
	TAILQ_HEAD(started_list, resolver_query) started;
	size_t running_count;
	struct event run_event;
};

enum query_state {
	QUERY_WAITING,
	QUERY_RUNNING,
	QUERY_DONE,
};

struct resolver_query {
	TAILQ_ENTRY(resolver_query) entry; /* of those that wait, or those that are started */
	struct resolver *resolver;
	struct resolver_queue *queue; /* NULL for addresses */
	struct settings *settings;    /* from when it is started */
	struct lookup *lookup;
	enum query_state state;
	struct event deliver;
	resolver_callback *callback; /* NULL when nobody wants the answer any more */
	void *arg;
	enum resolver_result result;
	struct address address; /* that it is, if it is one */
	uint16_t port;
	char name[];
};

/* ---- settings ---- */

static void
settings_release(struct resolver *resolver, struct settings *settings)
{
	if (settings == NULL || --settings->use_count > 0)
		return;
	TAILQ_REMOVE(&resolver->all_settings, settings, entry);
	if (settings->lookup.servers != NULL)
		nameservers_free(settings->lookup.servers);
	answers_free(settings->lookup.answers);
	free(settings);
}

static void
tell_others(const struct nsswitch *nsswitch)
{
	static bool told;

	if (told || nsswitch->others[0] == '\0')
		return;
	log_info("%s names %s for hosts, which is not supported: names are looked up in files and by DNS only",
		NSSWITCH_CONF, nsswitch->others);
	told = true;
}

static bool
read_resolv_conf(struct resolver *resolver, struct resolv_conf *conf)
{
	char hostname[256] = "";
	size_t size;
	char *text = watched_read(&resolver->resolv_conf, SETTINGS_SIZE, &size);

	gethostname(hostname, sizeof hostname - 1);
	resolv_conf_parse(conf, text != NULL ? text : "", size, hostname);
	free(text);
	return resolver->resolv_conf.known;
}

static bool
read_nsswitch_conf(struct resolver *resolver, struct nsswitch *nsswitch)
{
	size_t size;
	char *text = watched_read(&resolver->nsswitch_conf, SETTINGS_SIZE, &size);

	nsswitch_parse(nsswitch, text != NULL ? text : "", size);
	free(text);
	return resolver->nsswitch_conf.known;
}

static void
read_settings(struct resolver *resolver)
{
	struct resolv_conf conf;
	struct settings *settings = calloc(1, sizeof *settings);
	bool known;

	if (settings == NULL)
		return;
	settings->use_count = 1;
	settings->lookup.base = resolver->base;
	settings->lookup.hosts = &resolver->hosts.hosts;
	TAILQ_INSERT_TAIL(&resolver->all_settings, settings, entry);
	known = read_resolv_conf(resolver, &conf);
	known = read_nsswitch_conf(resolver, &settings->lookup.nsswitch) && known;
	settings->lookup.servers = nameservers_new(resolver->base, &conf);
	settings->lookup.answers = answers_new();
	/* Without descriptors for the files, what they said before is better than nothing. */
	if (settings->lookup.servers == NULL || settings->lookup.answers == NULL ||
		(!known && resolver->settings != NULL)) {
		resolver->resolv_conf.known = false;
		settings_release(resolver, settings);
		return;
	}
	tell_others(&settings->lookup.nsswitch);
	settings_release(resolver, resolver->settings);
	resolver->settings = settings;
}

/* ---- the end of a query ---- */

static void
queue_check(struct resolver_queue *queue)
{
	if (queue->left && queue->query_count == 0)
		free(queue);
}

static void
join_queue(struct resolver_query *query, struct resolver_queue *queue)
{
	if (TAILQ_EMPTY(&queue->waiting))
		TAILQ_INSERT_TAIL(&query->resolver->round, queue, entry);
	TAILQ_INSERT_TAIL(&queue->waiting, query, entry);
}

static void
leave_queue(struct resolver_query *query)
{
	TAILQ_REMOVE(&query->queue->waiting, query, entry);
	if (TAILQ_EMPTY(&query->queue->waiting))
		TAILQ_REMOVE(&query->resolver->round, query->queue, entry);
}

static void
query_free(struct resolver_query *query)
{
	struct resolver *resolver = query->resolver;
	struct resolver_queue *queue = query->queue;

	if (query->lookup != NULL)
		lookup_end(query->lookup);
	free(query->lookup);
	settings_release(resolver, query->settings);
	event_del(&query->deliver);
	if (query->state == QUERY_WAITING)
		leave_queue(query);
	else
		TAILQ_REMOVE(&resolver->started, query, entry);
	if (query->state == QUERY_RUNNING) {
		resolver->running_count--;
		queue->running_count--;
	}
	free(query);
	if (queue != NULL) {
		queue->query_count--;
		queue_check(queue);
	}
}

static void
forget_wanted(struct resolver_query *query)
{
	if (query->queue != NULL && query->callback != NULL)
		query->queue->wanted_count--;
	query->callback = NULL;
}

/* The answer is delivered from the loop. */
static void
query_done(struct resolver_query *query, enum resolver_result result)
{
	query->result = result;
	query->state = QUERY_DONE;
	event_active(&query->deliver, EV_TIMEOUT, 0);
}

static void
on_deliver(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_query *query = arg;
	resolver_callback *const callback = query->callback;
	void *const callback_arg = query->arg;
	const enum resolver_result result = query->result;
	struct addresses found = {.count = 0};

	(void)fd, (void)what;
	if (result == RESOLVER_FOUND && query->lookup != NULL) {
		found = query->lookup->found;
	} else if (result == RESOLVER_FOUND) {
		found.items[0] = query->address;
		found.count = 1;
	}
	forget_wanted(query);
	query_free(query);
	if (callback != NULL)
		callback(result, &found, callback_arg);
}

/* ---- looking up ---- */

static void
on_lookup_done(void *arg)
{
	struct resolver_query *query = arg;
	struct resolver *resolver = query->resolver;

	resolver->running_count--;
	query->queue->running_count--;
	query_done(query, query->lookup->result);
	if (!TAILQ_EMPTY(&resolver->round))
		turn_again(&resolver->run_event);
}

static void
start_query(struct resolver *resolver, struct resolver_queue *queue, struct resolver_query *query)
{
	TAILQ_REMOVE(&queue->waiting, query, entry);
	TAILQ_INSERT_TAIL(&resolver->started, query, entry);
	query->lookup = calloc(1, sizeof *query->lookup);
	if (query->lookup == NULL || resolver->settings == NULL) {
		query_done(query, RESOLVER_NO_MEMORY);
		return;
	}
	query->state = QUERY_RUNNING;
	query->settings = resolver->settings;
	query->settings->use_count++;
	queue->running_count++;
	resolver->running_count++;
	lookup_start(query->lookup, &query->settings->lookup, query->name, query->port, on_lookup_done, query);
}

static bool
may_start(const struct resolver *resolver, const struct resolver_queue *queue)
{
	return queue->running_count <
	       (resolver->running_count < RUNNING_MAX ? SHARE_RUNNING_MAX : SHARE_RUNNING_ALWAYS);
}

/* Start those that wait, a share's after another's, as far as the bounds allow. */
static void
start_queries(struct resolver *resolver)
{
	struct resolver_queue *queue, *refused = NULL;
	size_t starts = 0;

	while ((queue = TAILQ_FIRST(&resolver->round)) != NULL && queue != refused && starts < STARTS_PER_TURN) {
		const bool start = may_start(resolver, queue);

		TAILQ_REMOVE(&resolver->round, queue, entry);
		if (start) {
			start_query(resolver, queue, TAILQ_FIRST(&queue->waiting));
			refused = NULL;
			starts++;
		} else if (refused == NULL) {
			refused = queue;
		}
		if (!TAILQ_EMPTY(&queue->waiting))
			TAILQ_INSERT_TAIL(&resolver->round, queue, entry);
	}
	if (starts == STARTS_PER_TURN && queue != NULL)
		turn_again(&resolver->run_event);
}

static void
run_with_hosts(struct resolver *resolver)
{
	if (resolver->settings == NULL || watched_changed(&resolver->resolv_conf) ||
		watched_changed(&resolver->nsswitch_conf))
		read_settings(resolver);
	start_queries(resolver);
}

/* While the hosts file is being read, names wait for that. */
static void
run_resolver(struct resolver *resolver)
{
	if (hosts_file_refresh(&resolver->hosts))
		run_with_hosts(resolver);
}

static void
on_run_resolver(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	run_resolver(arg);
}

static void
on_hosts_ready(void *arg)
{
	run_with_hosts(arg);
}

/* ---- numbers ---- */

static bool
parse_v4(const char *host, struct in_addr *address)
{
	/* As getaddrinfo() takes them: 127.1, 0x7f000001. No name of the DNS ends in a number. */
	return inet_pton(AF_INET, host, address) == 1 ||
	       (host[0] != '\0' && host[strspn(host, "0123456789abcdefABCDEFxX.")] == '\0' &&
		       isdigit((unsigned char)host[0]) && inet_aton(host, address) != 0);
}

static bool
parse_number(const char *host, uint16_t port, struct address *address)
{
	char copy[ADDRESS_V6_SIZE];
	struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;

	*address = (struct address){.size = 0};
	if (parse_v4(host, &in->sin_addr)) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		address->size = sizeof *in;
		return true;
	}
	host = address_without_brackets(host, copy);
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	address->size = sizeof *in6;
	return true;
}

bool
resolver_is_numeric(const char *host)
{
	struct address address;

	return parse_number(host, 0, &address);
}

/*
 * Whether a name fits into a query (RFC 1035 section 3.1). What is not printable ASCII has no place in one, and c-ares
 * takes a backslash for an escape.
 */
static bool
is_dns_name(const char *host)
{
	size_t size = strlen(host);

	if (size > 0 && host[size - 1] == '.')
		size--;
	if (size == 0 || size >= RESOLV_CONF_NAME_SIZE)
		return false;
	for (size_t i = 0; i < size; i++)
		if (host[i] <= ' ' || host[i] >= 0x7f || host[i] == '\\')
			return false;
	for (const char *label = host; label < host + size;) {
		const size_t label_size = strcspn(label, ".");

		if (label_size == 0 || label_size > LABEL_MAX_SIZE)
			return false;
		label += label_size + 1;
	}
	return true;
}

/* ---- the interface ---- */

static struct resolver_queue *
share_queue(struct resolver_share *share)
{
	if (share->queue != NULL)
		return share->queue;
	share->queue = calloc(1, sizeof *share->queue);
	if (share->queue != NULL)
		TAILQ_INIT(&share->queue->waiting);
	return share->queue;
}

void
resolver_share_leave(struct resolver_share *share)
{
	if (share->queue == NULL)
		return;
	share->queue->left = true;
	queue_check(share->queue);
	share->queue = NULL;
}

static struct resolver_query *
query_new(struct resolver *resolver, const char *host, uint16_t port, resolver_callback *callback, void *arg)
{
	const size_t size = strlen(host) + 1;
	struct resolver_query *query = calloc(1, sizeof *query + size);

	if (query == NULL)
		return NULL;
	query->resolver = resolver;
	query->port = port;
	query->callback = callback;
	query->arg = arg;
	memcpy(query->name, host, size);
	evtimer_assign(&query->deliver, resolver->base, on_deliver, query);
	return query;
}

/* An answer that nobody has to be asked for. */
static struct resolver_query *
answer_at_once(struct resolver *resolver, struct resolver_query *query, enum resolver_result result)
{
	TAILQ_INSERT_TAIL(&resolver->started, query, entry);
	query_done(query, result);
	return query;
}

struct resolver_query *
resolver_lookup(struct resolver *resolver, struct resolver_share *share, const char *host, uint16_t port,
	resolver_callback *callback, void *arg)
{
	struct resolver_query *query = query_new(resolver, host, port, callback, arg);
	struct resolver_queue *queue;

	if (query == NULL)
		return NULL;
	if (parse_number(host, port, &query->address))
		return answer_at_once(resolver, query, RESOLVER_FOUND);
	if (!is_dns_name(host))
		return answer_at_once(resolver, query, RESOLVER_NO_NAME);
	queue = share_queue(share != NULL ? share : &resolver->own);
	if (queue == NULL || queue->wanted_count >= RESOLVER_SHARE_MAX) {
		free(query);
		return NULL;
	}
	query->queue = queue;
	queue->query_count++;
	queue->wanted_count++;
	join_queue(query, queue);
	run_resolver(resolver);
	return query;
}

void
resolver_charge(struct resolver_query *query, struct resolver_share *share)
{
	struct resolver *const resolver = query->resolver;
	struct resolver_queue *const from = query->queue;
	struct resolver_queue *const to = share_queue(share != NULL ? share : &resolver->own);

	if (from == NULL || to == NULL || from == to)
		return; /* without memory its own share goes on paying */
	if (query->state == QUERY_WAITING) {
		leave_queue(query);
		join_queue(query, to);
	} else if (query->state == QUERY_RUNNING) {
		from->running_count--;
		to->running_count++;
	}
	query->queue = to;
	from->query_count--;
	from->wanted_count--;
	to->query_count++;
	to->wanted_count++;
	queue_check(from);
}

/* One that is being looked up goes on: what it asked is on its way, and is charged to its share until it is over. */
void
resolver_cancel(struct resolver_query *query)
{
	forget_wanted(query);
	if (query->state != QUERY_RUNNING)
		query_free(query);
}

const char *
resolver_text(enum resolver_result result)
{
	switch (result) {
	case RESOLVER_FOUND:
		return "found";
	case RESOLVER_NO_NAME:
		return "no such host";
	case RESOLVER_NO_ANSWER:
		return "no answer from the name servers";
	case RESOLVER_NO_MEMORY:
		return "out of memory";
	}
	return "unknown";
}

struct resolver *
resolver_new(struct event_base *base)
{
	struct resolver *resolver = calloc(1, sizeof *resolver);

	if (resolver == NULL)
		return NULL;
	resolver->base = base;
	resolver->resolv_conf.path = RESOLV_CONF;
	resolver->nsswitch_conf.path = NSSWITCH_CONF;
	hosts_file_init(&resolver->hosts, base, on_hosts_ready, resolver);
	TAILQ_INIT(&resolver->all_settings);
	TAILQ_INIT(&resolver->round);
	TAILQ_INIT(&resolver->started);
	evtimer_assign(&resolver->run_event, base, on_run_resolver, resolver);
	return resolver;
}

void
resolver_free(struct resolver *resolver)
{
	struct resolver_query *query;

	if (resolver == NULL)
		return;
	while ((query = TAILQ_FIRST(&resolver->started)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
		query_free(query);
	resolver_share_leave(&resolver->own);
	settings_release(resolver, resolver->settings);
	hosts_file_free(&resolver->hosts);
	evtimer_del(&resolver->run_event);
	free(resolver);
}
