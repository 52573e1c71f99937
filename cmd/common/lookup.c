#include "lookup.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <event2/event.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "clock.h"

/*
 * How long IPv6 addresses are waited for when the IPv4 ones are there (RFC 8305 section 3). Some servers never answer
 * for IPv6.
 */
#define RESOLUTION_DELAY_MS 100

static void advance(struct lookup *lookup);

/* ---- addresses ---- */

static void
gather_v6(const struct lookup *lookup, struct addresses *addresses)
{
	for (size_t i = 0; i < lookup->v6.answer.count; i++) {
		const struct sockaddr_in6 in6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(lookup->port),
			.sin6_addr = lookup->v6.answer.addresses[i],
		};

		addresses_add(addresses, (const struct sockaddr *)&in6, sizeof in6);
	}
}

static void
gather_v4(const struct lookup *lookup, struct addresses *addresses)
{
	for (size_t i = 0; i < lookup->v4.answer.count; i++) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(lookup->port)};

		memcpy(&in.sin_addr, &lookup->v4.answer.addresses[i], sizeof in.sin_addr);
		addresses_add(addresses, (const struct sockaddr *)&in, sizeof in);
	}
}

/* Whether this machine has a way to one of its IPv4 addresses. Nothing is sent. */
static bool
has_way_to_v4(const struct lookup *lookup)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct addresses addresses = {.count = 0};
	bool way = false;

	gather_v4(lookup, &addresses);
	for (size_t i = 0; fd >= 0 && i < addresses.count && !way; i++) {
		const struct address *address = &addresses.items[i];

		way = connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0;
	}
	if (fd >= 0)
		close(fd);
	return way;
}

/* ---- files ---- */

static bool
find_in_hosts(struct lookup *lookup)
{
	const struct hosts *const hosts = *lookup->settings->hosts;
	struct addresses v6 = {.count = 0}, v4 = {.count = 0};

	if (hosts == NULL || !hosts_find(hosts, lookup->name, lookup->port, &v6, &v4))
		return false;
	addresses_merge(&lookup->found, &v6, &v4);
	return true;
}

/* RFC 6761 section 6.3: name servers are not asked for such names. */
static bool
find_localhost(struct lookup *lookup)
{
	static const char localhost[] = "localhost";
	size_t size = strlen(lookup->name);

	if (size > 0 && lookup->name[size - 1] == '.')
		size--;
	if (size < strlen(localhost) ||
		strncasecmp(lookup->name + size - strlen(localhost), localhost, strlen(localhost)) != 0 ||
		(size > strlen(localhost) && lookup->name[size - strlen(localhost) - 1] != '.'))
		return false;
	lookup->v6.answer.addresses[0] = in6addr_loopback;
	memcpy(&lookup->v4.answer.addresses[0], &(struct in_addr){htonl(INADDR_LOOPBACK)}, sizeof(struct in_addr));
	lookup->v6.answer.count = lookup->v4.answer.count = 1;
	return true;
}

/* ---- name servers ---- */

static void
drop_questions(struct lookup *lookup)
{
	if (lookup->v6.question != NULL)
		question_drop(lookup->v6.question);
	if (lookup->v4.question != NULL)
		question_drop(lookup->v4.question);
	lookup->v6.question = lookup->v4.question = NULL;
	evtimer_del(&lookup->delay);
}

static bool
complete_name(const struct lookup *lookup, char complete[RESOLV_CONF_NAME_SIZE])
{
	bool more;

	return resolv_conf_complete(
		nameservers_conf(lookup->settings->servers), lookup->name, lookup->candidate, complete, &more);
}

static void
keep_answer(struct lookup *lookup, const struct lookup_family *family)
{
	char complete[RESOLV_CONF_NAME_SIZE];

	if (complete_name(lookup, complete))
		answers_keep(lookup->settings->answers, complete, family->type, &family->answer, clock_now_ms());
}

static bool
is_unanswered(enum dns_result result)
{
	return result != DNS_FOUND && result != DNS_NO_DATA && result != DNS_NO_NAME;
}

/* The failure for this name; DNS_NO_NAME when nothing failed. "No such name" is true of both families. */
static enum dns_result
failure_of(const struct lookup *lookup)
{
	if (is_unanswered(lookup->v4.answer.result))
		return lookup->v4.answer.result;
	if (is_unanswered(lookup->v6.answer.result) && lookup->v4.answer.result != DNS_NO_NAME)
		return lookup->v6.answer.result;
	return DNS_NO_NAME;
}

/*
 * Both families are answered for one of the names. As in glibc, the next name is tried unless no server answers at all.
 */
static enum lookup_stage
judge_answers(struct lookup *lookup)
{
	struct addresses v6 = {.count = 0}, v4 = {.count = 0};
	const enum dns_result failure = failure_of(lookup);

	drop_questions(lookup);
	gather_v6(lookup, &v6);
	gather_v4(lookup, &v4);
	addresses_merge(&lookup->found, &v6, &v4);
	if (lookup->found.count > 0) {
		lookup->result = RESOLVER_FOUND;
		return LOOKUP_DONE;
	}
	lookup->server_failed = lookup->server_failed || failure != DNS_NO_NAME;
	lookup->candidate++;
	return failure != DNS_SILENT ? LOOKUP_ASK : LOOKUP_SOURCE;
}

static enum lookup_stage
look_at_answers(struct lookup *lookup)
{
	static const struct timeval delay = {.tv_usec = RESOLUTION_DELAY_MS * 1000};
	const enum dns_result result = lookup->v4.answer.result;
	const bool waits = lookup->v4.answered && (result == DNS_FOUND || result == DNS_NO_NAME);

	if ((lookup->v4.answered && lookup->v6.answered) || (waits && evtimer_add(&lookup->delay, &delay) != 0))
		return judge_answers(lookup);
	return LOOKUP_WAIT;
}

/* IPv6 addresses are late. Go on without them, unless there is no route to the IPv4 addresses. */
static void
on_delay(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *lookup = arg;

	(void)fd, (void)what;
	if (lookup->v4.answer.result == DNS_FOUND && !has_way_to_v4(lookup))
		return;
	lookup->v6.answer = (struct dns_answer){.result = DNS_SILENT};
	lookup->v6.answered = true;
	keep_answer(lookup, &lookup->v6);
	advance(lookup);
}

static void
take_answer(struct lookup *lookup, struct lookup_family *family, const struct dns_answer *answer)
{
	family->question = NULL;
	family->answer = *answer;
	family->answered = true;
	keep_answer(lookup, family);
	advance(lookup);
}

static void
on_v6_answer(const struct dns_answer *answer, void *arg)
{
	struct lookup *lookup = arg;

	take_answer(lookup, &lookup->v6, answer);
}

static void
on_v4_answer(const struct dns_answer *answer, void *arg)
{
	struct lookup *lookup = arg;

	take_answer(lookup, &lookup->v4, answer);
}

static void
ask_family(struct lookup *lookup, struct lookup_family *family, const char *complete, dns_callback *callback)
{
	const struct dns_answer *known =
		answers_find(lookup->settings->answers, complete, family->type, clock_now_ms());

	family->answered = known != NULL;
	if (known != NULL) {
		family->answer = *known;
		return;
	}
	family->answer = (struct dns_answer){.result = DNS_REFUSED};
	family->question = nameservers_ask(lookup->settings->servers, complete, family->type, callback, lookup);
	family->answered = family->question == NULL;
}

/* Ask for the name as the search list completes it, from the candidate on. */
static enum lookup_stage
ask_servers(struct lookup *lookup)
{
	const struct resolv_conf *conf = nameservers_conf(lookup->settings->servers);
	char complete[RESOLV_CONF_NAME_SIZE];
	bool more = true;

	while (!resolv_conf_complete(conf, lookup->name, lookup->candidate, complete, &more)) {
		if (!more)
			return LOOKUP_SOURCE;
		lookup->candidate++;
	}
	ask_family(lookup, &lookup->v4, complete, on_v4_answer);
	if (conf->no_aaaa) {
		lookup->v6.answer = (struct dns_answer){.result = DNS_NO_DATA};
		lookup->v6.answered = true;
	} else {
		ask_family(lookup, &lookup->v6, complete, on_v6_answer);
	}
	return look_at_answers(lookup);
}

/* ---- the sources ---- */

/* Go on to the next source, unless the settings end the search at one that did not know the name. */
static enum lookup_stage
next_source(struct lookup *lookup)
{
	const struct nsswitch *nsswitch = &lookup->settings->nsswitch;
	const size_t i = lookup->source++;

	if (i == nsswitch->count || (i > 0 && !lookup->server_failed && nsswitch->sources[i - 1].final)) {
		lookup->result = lookup->server_failed ? RESOLVER_NO_ANSWER : RESOLVER_NO_NAME;
		return LOOKUP_DONE;
	}
	if (nsswitch->sources[i].source == NAME_SOURCE_DNS)
		return find_localhost(lookup) ? judge_answers(lookup) : LOOKUP_ASK;
	if (!find_in_hosts(lookup))
		return LOOKUP_SOURCE;
	lookup->result = RESOLVER_FOUND;
	return LOOKUP_DONE;
}

/* Go on as far as that is possible without waiting. */
static void
advance(struct lookup *lookup)
{
	if (lookup->stage == LOOKUP_WAIT)
		lookup->stage = look_at_answers(lookup);
	while (lookup->stage == LOOKUP_SOURCE || lookup->stage == LOOKUP_ASK)
		lookup->stage = lookup->stage == LOOKUP_SOURCE ? next_source(lookup) : ask_servers(lookup);
	if (lookup->stage == LOOKUP_DONE)
		lookup->done(lookup->arg);
}

void
lookup_start(struct lookup *lookup, const struct lookup_settings *settings, const char *name, uint16_t port,
	void (*done)(void *arg), void *arg)
{
	lookup->name = name;
	lookup->port = port;
	lookup->settings = settings;
	lookup->v6.type = DNS_AAAA;
	lookup->v4.type = DNS_A;
	lookup->done = done;
	lookup->arg = arg;
	evtimer_assign(&lookup->delay, settings->base, on_delay, lookup);
	advance(lookup);
}

void
lookup_end(struct lookup *lookup)
{
	drop_questions(lookup);
}
