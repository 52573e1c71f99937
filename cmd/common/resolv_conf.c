#include "resolv_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include "words.h"

#define DNS_PORT 53
#define NDOTS_MAX 15

static void
add_v4(struct resolv_conf *conf, struct in_addr address)
{
	struct address *server = &conf->servers[conf->server_count++];
	struct sockaddr_in *in = (struct sockaddr_in *)&server->storage;

	*server = (struct address){.size = sizeof *in};
	in->sin_family = AF_INET;
	in->sin_addr = address;
	in->sin_port = htons(DNS_PORT);
}

static void
add_v6(struct resolv_conf *conf, const struct in6_addr *address, const char *scope)
{
	struct address *server = &conf->servers[conf->server_count++];
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&server->storage;

	*server = (struct address){.size = sizeof *in6};
	in6->sin6_family = AF_INET6;
	in6->sin6_addr = *address;
	in6->sin6_port = htons(DNS_PORT);
	in6->sin6_scope_id = if_nametoindex(scope);
	if (in6->sin6_scope_id == 0)
		in6->sin6_scope_id = (uint32_t)strtoul(scope, NULL, 10);
}

/* Text that is not an address is ignored. */
static void
add_server(struct resolv_conf *conf, const char *text)
{
	char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
	char *scope = host;
	struct in_addr v4;
	struct in6_addr v6;

	if (conf->server_count == RESOLV_CONF_SERVERS_MAX || strlen(text) >= sizeof host)
		return;
	if (inet_aton(text, &v4) != 0) {
		add_v4(conf, v4);
		return;
	}
	snprintf(host, sizeof host, "%s", text);
	strsep(&scope, "%");
	if (inet_pton(AF_INET6, host, &v6) == 1)
		add_v6(conf, &v6, scope != NULL ? scope : "");
}

static void
add_domain(struct resolv_conf *conf, const char *domain)
{
	size_t size = strlen(domain);

	while (size > 0 && domain[size - 1] == '.')
		size--;
	if (conf->domain_count == RESOLV_CONF_DOMAINS_MAX || size >= RESOLV_CONF_NAME_SIZE)
		return;
	memcpy(conf->domains[conf->domain_count], domain, size);
	conf->domains[conf->domain_count++][size] = '\0';
}

static void
set_option(struct resolv_conf *conf, const char *option)
{
	static const char ndots[] = "ndots:";

	if (strncmp(option, ndots, strlen(ndots)) == 0) {
		const unsigned long value = strtoul(option + strlen(ndots), NULL, 10);

		conf->ndots = value < NDOTS_MAX ? (unsigned)value : NDOTS_MAX;
	} else if (strcmp(option, "use-vc") == 0) {
		conf->use_tcp = true;
	} else if (strcmp(option, "no-aaaa") == 0) {
		conf->no_aaaa = true;
	}
}

/* Of several lines with domains, the last one counts. */
static void
parse_resolv_line(struct resolv_conf *conf, char *line, bool *searched)
{
	const char *const key = words_next(&line);
	const char *word;

	if (key == NULL || *key == '#' || *key == ';')
		return;
	if (strcmp(key, "search") == 0 || strcmp(key, "domain") == 0) {
		conf->domain_count = 0;
		*searched = true;
	}
	while ((word = words_next(&line)) != NULL) {
		if (strcmp(key, "nameserver") == 0) {
			add_server(conf, word);
			return;
		}
		if (strcmp(key, "options") == 0)
			set_option(conf, word);
		else if (strcmp(key, "search") == 0 || (strcmp(key, "domain") == 0 && conf->domain_count == 0))
			add_domain(conf, word);
	}
}

void
resolv_conf_parse(struct resolv_conf *conf, const char *text, size_t n, const char *hostname)
{
	const char *const dot = strchr(hostname, '.');
	char line[WORDS_LINE_SIZE];
	bool searched = false;

	memset(conf, 0, sizeof *conf);
	conf->ndots = 1;
	while (words_line(&text, &n, line))
		parse_resolv_line(conf, line, &searched);
	if (conf->server_count == 0)
		add_v4(conf, (struct in_addr){.s_addr = htonl(INADDR_LOOPBACK)});
	if (!searched && dot != NULL && dot[1] != '\0')
		add_domain(conf, dot + 1);
}

static unsigned
count_dots(const char *name)
{
	unsigned count = 0;

	for (; *name != '\0'; name++)
		count += *name == '.';
	return count;
}

/* As glibc does: with enough dots as it is at first, else at last. */
bool
resolv_conf_complete(
	const struct resolv_conf *conf, const char *name, size_t i, char complete[RESOLV_CONF_NAME_SIZE], bool *more)
{
	const size_t size = strlen(name);
	const bool absolute = size > 0 && name[size - 1] == '.';
	const bool first = absolute || count_dots(name) >= conf->ndots;
	const size_t last = absolute ? 0 : conf->domain_count;
	const size_t domain = first ? i - 1 : i; /* wraps for the name as it is */
	int written;

	*more = i < last;
	if (i > last)
		return false;
	if (i == (first ? 0 : last))
		written = snprintf(complete, RESOLV_CONF_NAME_SIZE, "%.*s", (int)(size - absolute), name);
	else
		written = snprintf(complete, RESOLV_CONF_NAME_SIZE, "%s%s%s", name,
			conf->domains[domain][0] != '\0' ? "." : "", conf->domains[domain]);
	return written < RESOLV_CONF_NAME_SIZE;
}
