#include "nameservers.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "clock.h"
#include "log.h"

/* How long to wait for a server before the next one is asked too, in the first round and in later ones. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* the analyzer does not follow lists of sys/queue.h */
#endif

#define FIRST_WAIT_MS 1000
#define LATER_WAIT_MS 2000
/* A server that has never answered a query with EDNS may drop such queries: ask it without EDNS after this time. */
#define EDNS_WAIT_MS 250
/* How long a server may take to answer. Until then, an answer counts, even after other servers were asked. */
#define ATTEMPT_MS 5000
#define ATTEMPTS_MAX 6
/* How often to ask a server again that refused: some fail only once. */
#define ROUNDS 2
/* How often a server that did not answer is asked again, beside one that does. */
#define PROBE_EVERY_MS 30000
/* A server that has answered only without EDNS this often is asked without it. */
#define EDNS_LOSSES_MAX 2
/*
 * A channel is a source port. Few questions share one, so that ports are hard to guess; while too many questions are
 * open for that, channels are full later, and rest until they are empty: a port is never in use for long.
 */
#define SHARED_BY 4
#define CHANNEL_FULL 512
#define CHANNELS_MAX 16

struct channel {
	TAILQ_ENTRY(channel) entry;
	struct dns_channel *dns;
	bool edns;
};

struct nameserver {
	struct address address;
	TAILQ_HEAD(channel_list, channel) channels; /* the newest one is the last */
	bool edns_works;
	bool no_edns;
	unsigned edns_losses;
	bool lame; /* it did not answer, and others did */
	uint64_t probed_ms;
};

struct nameservers {
	struct event_base *base;
	struct resolv_conf conf;
	struct nameserver servers[RESOLV_CONF_SERVERS_MAX];
	size_t channel_count;
	TAILQ_HEAD(question_list, question) questions;
	struct event reap; /* frees idle channels, which cannot be freed in their own callbacks */
};

struct question {
	TAILQ_ENTRY(question) entry;
	struct nameservers *servers;
	enum dns_type type;
	dns_callback *callback;
	void *arg;
	LIST_HEAD(attempt_list, attempt) attempts; /* without an answer yet */
	uint8_t order[RESOLV_CONF_SERVERS_MAX];
	size_t attempt_count;
	size_t failure_count;
	uint64_t asked_ms;
	bool failed[RESOLV_CONF_SERVERS_MAX];
	bool done;
	bool plain;               /* the first server has been asked without EDNS too */
	struct dns_answer answer; /* until it is done: the failure that says the most */
	struct event timer;       /* until the next attempt, or the end */
	char name[];
};

/* One question to one server. */
struct attempt {
	LIST_ENTRY(attempt) entry;
	struct nameservers *servers;
	struct channel *channel;
	struct question *question; /* NULL when that is over */
	size_t server;
	bool edns;
	bool probe;
	uint64_t started_ms;
};

static void start_attempt(struct question *question);

/* ---- channels ---- */

static void
channel_free(struct nameservers *servers, struct nameserver *server, struct channel *channel)
{
	TAILQ_REMOVE(&server->channels, channel, entry);
	servers->channel_count--;
	dns_channel_free(channel->dns);
	free(channel);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct nameservers *servers = arg;
	struct channel *channel, *next;

	(void)fd, (void)what;
	for (size_t i = 0; i < servers->conf.server_count; i++)
		for (channel = TAILQ_FIRST(&servers->servers[i].channels); channel != NULL; channel = next) {
			next = TAILQ_NEXT(channel, entry);
			if (dns_channel_waiting(channel->dns) == 0)
				channel_free(servers, &servers->servers[i], channel);
		}
}

static struct channel *
open_channel(struct nameservers *servers, struct nameserver *server, bool edns)
{
	const struct dns_manner manner = {.edns = edns, .tcp = servers->conf.use_tcp};
	struct channel *channel = calloc(1, sizeof *channel);

	if (channel == NULL)
		return NULL;
	channel->edns = edns;
	channel->dns = dns_channel_new(servers->base, &server->address, manner, ATTEMPT_MS);
	if (channel->dns == NULL) {
		free(channel);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&server->channels, channel, entry);
	servers->channel_count++;
	return channel;
}

/* NULL without memory. */
static struct channel *
pick_channel(struct nameservers *servers, struct nameserver *server, bool edns)
{
	struct channel *best = NULL, *channel;

	TAILQ_FOREACH (channel, &server->channels, entry)
		if (channel->edns == edns &&
			(best == NULL || dns_channel_asked(channel->dns) < dns_channel_asked(best->dns)))
			best = channel;
	if (best != NULL) {
		const size_t asked = dns_channel_asked(best->dns);

		if (asked < (servers->channel_count < CHANNELS_MAX ? SHARED_BY : CHANNEL_FULL))
			return best;
	}
	/* All are full only with more queries than are allowed at a time; then one more channel does no harm. */
	channel = open_channel(servers, server, edns);
	return channel != NULL ? channel : best;
}

/* ---- the end of a question ---- */

static void
question_free(struct question *question)
{
	struct attempt *attempt;

	while ((attempt = LIST_FIRST(&question->attempts)) != NULL) {
		LIST_REMOVE(attempt, entry);
		attempt->question = NULL;
	}
	evtimer_del(&question->timer);
	TAILQ_REMOVE(&question->servers->questions, question, entry);
	free(question);
}

void
question_drop(struct question *question)
{
	question_free(question);
}

/* Deliver the answer from the event loop. */
static void
finish(struct question *question, const struct dns_answer *answer)
{
	question->answer = *answer;
	question->done = true;
	event_active(&question->timer, EV_TIMEOUT, 0);
}

static void
deliver(struct question *question)
{
	dns_callback *const callback = question->callback;
	void *const arg = question->arg;
	const struct dns_answer answer = question->answer;

	question_free(question);
	callback(&answer, arg);
}

/* ---- what is known of servers ---- */

/* Servers that do not answer come last, so that no query waits for them. */
static void
order_servers(const struct nameservers *servers, uint8_t order[RESOLV_CONF_SERVERS_MAX])
{
	size_t n = 0;

	for (int lame = 0; lame < 2; lame++)
		for (size_t i = 0; i < servers->conf.server_count; i++)
			if (servers->servers[i].lame == lame)
				order[n++] = (uint8_t)i;
}

static void
mark_lame(struct nameservers *servers, size_t i)
{
	struct nameserver *server = &servers->servers[i];
	char text[ADDRESS_TEXT_SIZE];

	if (server->lame)
		return;
	address_format((const struct sockaddr *)&server->address.storage, text);
	log_debug("the name server %s does not answer: the others are asked first", text);
	server->lame = true;
	server->probed_ms = clock_now_ms();
}

/* This attempt was answered: mark the servers that had as much time and did not answer. */
static void
compare_servers(const struct question *question, const struct attempt *answered)
{
	struct nameserver *server = &question->servers->servers[answered->server];
	const uint64_t now_ms = clock_now_ms();
	const struct attempt *attempt;
	bool lost = false;

	for (size_t i = 0; i < question->servers->conf.server_count; i++)
		if (question->failed[i] && i != answered->server)
			mark_lame(question->servers, i);
	LIST_FOREACH(attempt, &question->attempts, entry)
	{
		/* cppcheck-suppress uninitvar ; of the list, which it does not follow */
		if (attempt->server == answered->server)
			lost = lost || attempt->edns;
		else if (!attempt->probe && now_ms - attempt->started_ms >= FIRST_WAIT_MS / 2)
			mark_lame(question->servers, attempt->server);
	}
	server->edns_works = server->edns_works || answered->edns;
	if (answered->edns)
		server->edns_losses = 0;
	else if (lost && ++server->edns_losses >= EDNS_LOSSES_MAX)
		server->no_edns = true;
}

/* ---- attempts ---- */

static bool
is_answer(enum dns_result result)
{
	return result == DNS_FOUND || result == DNS_NO_DATA || result == DNS_NO_NAME;
}

/* A server has failed. Ask the next one at once; a silent server keeps its time. */
static void
on_failed_attempt(struct question *question, const struct dns_answer *answer)
{
	const size_t enough = ROUNDS * question->servers->conf.server_count;

	/* A failure that a server reported says more than silence. */
	if (question->answer.result != DNS_SERVER_FAILED)
		question->answer = *answer;
	question->failure_count++;
	if (answer->result != DNS_SILENT && question->failure_count < enough &&
		question->attempt_count < ATTEMPTS_MAX) {
		start_attempt(question);
		return;
	}
	if (LIST_EMPTY(&question->attempts) &&
		(question->failure_count >= enough || question->attempt_count == ATTEMPTS_MAX))
		finish(question, &question->answer);
}

static void attempt_to(struct question *question, size_t i, bool probe, bool edns);

static void
judge(struct question *question, const struct attempt *attempt, const struct dns_answer *answer)
{
	if (question->done)
		return;
	if (is_answer(answer->result)) {
		compare_servers(question, attempt);
		finish(question, answer);
	} else if (attempt->probe) {
		return;
	} else if (answer->result == DNS_BAD_FORM && attempt->edns) {
		question->servers->servers[attempt->server].no_edns = true;
		attempt_to(question, attempt->server, false, false);
	} else {
		question->failed[attempt->server] = true;
		on_failed_attempt(question, answer);
	}
}

static void
on_attempt(const struct dns_answer *answer, void *arg)
{
	struct attempt *attempt = arg;
	struct nameserver *server = &attempt->servers->servers[attempt->server];

	if (answer->result != DNS_ENDED && dns_channel_waiting(attempt->channel->dns) == 0)
		event_active(&attempt->servers->reap, EV_TIMEOUT, 0);
	if (is_answer(answer->result) && clock_now_ms() - attempt->started_ms <= FIRST_WAIT_MS)
		server->lame = false;
	if (attempt->question != NULL) {
		LIST_REMOVE(attempt, entry);
		judge(attempt->question, attempt, answer);
	}
	free(attempt);
}

/* Without memory nothing is sent; the timer comes back to it. */
static void
attempt_to(struct question *question, size_t i, bool probe, bool edns)
{
	struct nameservers *servers = question->servers;
	struct channel *channel = pick_channel(servers, &servers->servers[i], edns);
	struct attempt *attempt = channel != NULL ? calloc(1, sizeof *attempt) : NULL;

	if (attempt == NULL)
		return;
	*attempt = (struct attempt){
		.servers = servers,
		.channel = channel,
		.question = question,
		.server = i,
		.edns = edns,
		.probe = probe,
		.started_ms = clock_now_ms(),
	};
	LIST_INSERT_HEAD(&question->attempts, attempt, entry);
	dns_channel_ask(channel->dns, question->name, question->type, on_attempt, attempt);
}

static bool
is_edns_in_doubt(const struct question *question)
{
	const struct nameserver *server = &question->servers->servers[question->order[0]];

	return question->attempt_count == 1 && !question->plain && !server->edns_works && !server->no_edns;
}

static void
set_question_timer(struct question *question)
{
	const bool first = question->attempt_count <= question->servers->conf.server_count;
	const uint64_t spent_ms = clock_now_ms() - question->asked_ms;
	const uint64_t left_ms = spent_ms < NAMESERVERS_TIMEOUT_MS ? NAMESERVERS_TIMEOUT_MS - spent_ms : 0;
	const uint64_t wait_ms = is_edns_in_doubt(question) ? EDNS_WAIT_MS : first ? FIRST_WAIT_MS : LATER_WAIT_MS;
	const struct timeval tv = clock_timeval(wait_ms < left_ms ? wait_ms : left_ms);

	evtimer_add(&question->timer, &tv);
}

/* Ask the next server in turn. Some drop queries with EDNS, so an unanswered query is repeated without. */
static void
start_attempt(struct question *question)
{
	const size_t n = question->servers->conf.server_count;
	const size_t i = question->order[question->attempt_count % n];
	const bool edns = question->attempt_count < n && !question->servers->servers[i].no_edns;

	question->attempt_count++;
	set_question_timer(question);
	attempt_to(question, i, false, edns);
}

/* See whether a server that did not answer does so again. */
static void
probe(struct question *question)
{
	struct nameservers *servers = question->servers;

	for (size_t i = 0; i < servers->conf.server_count; i++) {
		struct nameserver *server = &servers->servers[i];

		if (!server->lame || question->asked_ms - server->probed_ms < PROBE_EVERY_MS || question->done)
			continue;
		server->probed_ms = question->asked_ms;
		attempt_to(question, i, true, !server->no_edns);
	}
}

static void
on_question_timer(evutil_socket_t fd, short what, void *arg)
{
	struct question *question = arg;

	(void)fd, (void)what;
	if (question->done) {
		deliver(question);
	} else if (clock_now_ms() - question->asked_ms >= NAMESERVERS_TIMEOUT_MS) {
		question->done = true;
		deliver(question);
	} else if (is_edns_in_doubt(question)) {
		question->plain = true;
		set_question_timer(question);
		attempt_to(question, question->order[0], false, false);
	} else if (question->attempt_count < ATTEMPTS_MAX) {
		start_attempt(question);
	} else {
		set_question_timer(question);
	}
}

struct question *
nameservers_ask(struct nameservers *servers, const char *name, enum dns_type type, dns_callback *callback, void *arg)
{
	const size_t size = strlen(name) + 1;
	struct question *question = calloc(1, sizeof *question + size);

	if (question == NULL)
		return NULL;
	memcpy(question->name, name, size);
	question->servers = servers;
	question->type = type;
	question->callback = callback;
	question->arg = arg;
	question->answer.result = DNS_SILENT;
	question->asked_ms = clock_now_ms();
	LIST_INIT(&question->attempts);
	TAILQ_INSERT_TAIL(&servers->questions, question, entry);
	evtimer_assign(&question->timer, servers->base, on_question_timer, question);
	order_servers(servers, question->order);
	start_attempt(question);
	probe(question);
	return question;
}

/* ---- the servers ---- */

struct nameservers *
nameservers_new(struct event_base *base, const struct resolv_conf *conf)
{
	struct nameservers *servers = calloc(1, sizeof *servers);

	if (servers == NULL)
		return NULL;
	servers->base = base;
	servers->conf = *conf;
	TAILQ_INIT(&servers->questions);
	evtimer_assign(&servers->reap, base, on_reap, servers);
	for (size_t i = 0; i < conf->server_count; i++) {
		servers->servers[i].address = conf->servers[i];
		TAILQ_INIT(&servers->servers[i].channels);
	}
	return servers;
}

void
nameservers_free(struct nameservers *servers)
{
	struct question *question;
	struct channel *channel;

	while ((question = TAILQ_FIRST(&servers->questions)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
		question_free(question);
	for (size_t i = 0; i < servers->conf.server_count; i++)
		while ((channel = TAILQ_FIRST(&servers->servers[i].channels)) != NULL)
			/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it is out of its list before it is freed */
			channel_free(servers, &servers->servers[i], channel);
	evtimer_del(&servers->reap);
	free(servers);
}

const struct resolv_conf *
nameservers_conf(const struct nameservers *servers)
{
	return &servers->conf;
}
