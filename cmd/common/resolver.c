#include "resolver.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "log.h"

#define SETTINGS "/etc/resolv.conf"
#define HOSTS "/etc/hosts"
/* A name, without a final dot, and each part of it. */
#define NAME_MAX_SIZE 253
#define LABEL_MAX_SIZE 63
/* At once, and a name takes two. The others wait for them: names that nobody answers for must not stop all the rest. */
#define QUERIES_MAX "32768"

struct resolver {
	struct event_base *base;
	struct evdns_base *dns;
	struct timespec settings_time;
	struct timespec hosts_time;
	size_t query_count;
};

struct resolver_query {
	struct resolver *resolver;
	struct resolver_share *share;              /* NULL when it is not charged */
	struct evdns_getaddrinfo_request *request; /* NULL once evdns has answered */
	struct event *deliver;
	resolver_callback *callback;
	void *arg;
	bool cancelled;
	int error;
	struct evutil_addrinfo *found;
};

static void
on_dns_log(int is_warning, const char *message)
{
	(void)is_warning;
	log_trace("dns: %s", message);
}

static struct timespec
file_time(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct timespec){0};
	return st.st_mtim;
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Read the settings when they are new. While queries are under way the old ones serve: they belong to the same base. */
static bool
refresh(struct resolver *resolver)
{
	const struct timespec settings_time = file_time(SETTINGS);
	const struct timespec hosts_time = file_time(HOSTS);

	if (resolver->dns != NULL &&
		(resolver->query_count > 0 || (same_time(settings_time, resolver->settings_time) &&
						      same_time(hosts_time, resolver->hosts_time))))
		return true;
	if (resolver->dns != NULL)
		evdns_base_free(resolver->dns, 0);
	resolver->dns = evdns_base_new(resolver->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (resolver->dns == NULL)
		return false;
	resolver->settings_time = settings_time;
	resolver->hosts_time = hosts_time;
	if (evdns_base_resolv_conf_parse(resolver->dns, DNS_OPTIONS_ALL, SETTINGS) != 0) {
		log_debug("no name servers in %s", SETTINGS);
		resolver->settings_time = (struct timespec){0}; /* look again: descriptors may have been out */
	}
	evdns_base_set_option(resolver->dns, "max-inflight:", QUERIES_MAX);
	/* Spoofing is as hard as it gets with the letters' case as a nonce, but too many servers fold it. */
	evdns_base_set_option(resolver->dns, "randomize-case:", "0");
	return true;
}

struct resolver *
resolver_new(struct event_base *base)
{
	struct resolver *resolver = calloc(1, sizeof *resolver);

	if (resolver == NULL)
		return NULL;
	resolver->base = base;
	evdns_set_log_fn(on_dns_log);
	return resolver;
}

void
resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	if (resolver->dns != NULL)
		evdns_base_free(resolver->dns, 0);
	free(resolver);
}

static void
query_free(struct resolver_query *query)
{
	query->resolver->query_count--;
	if (query->share != NULL)
		query->share->count--;
	if (query->found != NULL)
		evutil_freeaddrinfo(query->found);
	event_free(query->deliver);
	free(query);
}

static enum resolver_result
result_of(int error)
{
	switch (error) {
	case 0:
		return RESOLVER_FOUND;
	case EVUTIL_EAI_NONAME:
	case EVUTIL_EAI_NODATA:
		return RESOLVER_NO_NAME;
	case EVUTIL_EAI_MEMORY:
		return RESOLVER_NO_MEMORY;
	default:
		return RESOLVER_NO_ANSWER;
	}
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

static void
gather(const struct evutil_addrinfo *found, struct addresses *addresses)
{
	struct addresses v6 = {.count = 0}, v4 = {.count = 0};

	for (; found != NULL; found = found->ai_next)
		addresses_add(found->ai_family == AF_INET6 ? &v6 : &v4, found->ai_addr, (socklen_t)found->ai_addrlen);
	addresses_merge(addresses, &v6, &v4);
}

static void
on_deliver(evutil_socket_t fd, short what, void *arg)
{
	struct resolver_query *query = arg;
	resolver_callback *const callback = query->callback;
	void *const callback_arg = query->arg;
	const enum resolver_result result = result_of(query->error);
	struct addresses found;

	(void)fd, (void)what;
	gather(query->found, &found);
	query_free(query);
	callback(result == RESOLVER_FOUND && found.count == 0 ? RESOLVER_NO_NAME : result, &found, callback_arg);
}

/* evdns answers numeric addresses from within the call, and cancelled queries later: both are evened out here. */
static void
on_answer(int error, struct evutil_addrinfo *found, void *arg)
{
	struct resolver_query *query = arg;

	query->request = NULL;
	query->error = error;
	query->found = found;
	if (query->cancelled)
		query_free(query);
	else
		event_active(query->deliver, 0, 0);
}

bool
resolver_is_numeric(const char *host)
{
	uint8_t address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Whether a name fits into a query (RFC 1035 section 3.1). evdns never answers for some of those that do not. */
static bool
is_dns_name(const char *host)
{
	size_t size = strlen(host);

	if (size > 0 && host[size - 1] == '.')
		size--;
	if (size == 0 || size > NAME_MAX_SIZE)
		return false;
	for (const char *label = host; label < host + size;) {
		const size_t label_size = strcspn(label, ".");

		if (label_size == 0 || label_size > LABEL_MAX_SIZE)
			return false;
		label += label_size + 1;
	}
	return true;
}

struct resolver_query *
resolver_lookup(struct resolver *resolver, struct resolver_share *share, const char *host, uint16_t port,
	resolver_callback *callback, void *arg)
{
	struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct evdns_getaddrinfo_request *request;
	struct resolver_query *query;
	char service[8];

	if (resolver_is_numeric(host))
		share = NULL;
	else if (share != NULL && share->count >= RESOLVER_SHARE_MAX)
		return NULL;
	if ((resolver->dns == NULL || !resolver_is_numeric(host)) && !refresh(resolver))
		return NULL;
	query = calloc(1, sizeof *query);
	if (query == NULL)
		return NULL;
	query->resolver = resolver;
	query->callback = callback;
	query->arg = arg;
	query->deliver = evtimer_new(resolver->base, on_deliver, query);
	if (query->deliver == NULL) {
		free(query);
		return NULL;
	}
	resolver->query_count++;
	query->share = share;
	if (share != NULL)
		share->count++;
	if (!is_dns_name(host)) {
		query->error = EVUTIL_EAI_NONAME;
		event_active(query->deliver, 0, 0);
		return query;
	}
	snprintf(service, sizeof service, "%u", port);
	request = evdns_getaddrinfo(resolver->dns, host, service, &hints, on_answer, query);
	if (request != NULL)
		query->request = request;
	return query;
}

void
resolver_cancel(struct resolver_query *query)
{
	if (query->request == NULL) {
		query_free(query); /* answered but not delivered */
		return;
	}
	query->cancelled = true;
	evdns_getaddrinfo_cancel(query->request);
}
