/* Parses resolv.conf(5): the name servers to ask, and how to complete names. The resolver reads the file. */
#ifndef RESOLV_CONF_H
#define RESOLV_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"

/* As many as glibc takes. */
#define RESOLV_CONF_SERVERS_MAX 3
#define RESOLV_CONF_DOMAINS_MAX 16
/* The longest name of the DNS, with the final NUL. */
#define RESOLV_CONF_NAME_SIZE 254

struct resolv_conf {
	struct address servers[RESOLV_CONF_SERVERS_MAX]; /* with the port; at least one */
	size_t server_count;
	char domains[RESOLV_CONF_DOMAINS_MAX][RESOLV_CONF_NAME_SIZE]; /* the search list; "" is the root */
	size_t domain_count;
	unsigned ndots;
	bool use_tcp; /* never UDP */
	bool no_aaaa; /* do not ask for IPv6 addresses */
};

/*
 * Parse the text of resolv.conf. The defaults are glibc's: the name server 127.0.0.1, and the domain of `hostname` as
 * the search list.
 */
void resolv_conf_parse(struct resolv_conf *conf, const char *text, size_t n, const char *hostname);

/*
 * Write the i-th absolute name to look up for `name`, without a final dot, by the search list. Returns false when it
 * would be too long, and when i is past the last one. *more says whether others follow.
 */
bool resolv_conf_complete(
	const struct resolv_conf *conf, const char *name, size_t i, char complete[RESOLV_CONF_NAME_SIZE], bool *more);

#endif
