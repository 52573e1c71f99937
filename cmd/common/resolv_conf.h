/* What resolv.conf(5) says: whom to ask for names, and how names are completed. The text comes from the resolver. */
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
	bool no_aaaa; /* nobody is asked for IPv6 addresses */
};

/*
 * Read such a file's text. What is missing is as in glibc: the name server is 127.0.0.1, and the search list is the
 * domain in `hostname`.
 */
void resolv_conf_parse(struct resolv_conf *conf, const char *text, size_t n, const char *hostname);

/*
 * Write the i-th absolute name, without a final dot, to look up in the DNS for a name that may need to be completed.
 * Returns false when there is none: there are no more, or it would be too long, which only `*more` tells apart.
 */
bool resolv_conf_complete(
	const struct resolv_conf *conf, const char *name, size_t i, char complete[RESOLV_CONF_NAME_SIZE], bool *more);

#endif
