/* --resolve: the addresses that the user gives for a host and a port, so that nobody is asked for them. */
#ifndef OVERRIDES_H
#define OVERRIDES_H

#include <stddef.h>
#include <stdint.h>

#include "addresses.h"
#include "options.h"
#include "url.h"

struct override {
	char host[URL_HOST_SIZE]; /* "*" for all */
	uint16_t port;
	struct addresses addresses;
};

struct overrides {
	struct override items[OPTION_LIST_MAX];
	size_t count;
};

/* What is wrong with HOST:PORT:ADDRESS[,ADDRESS...], or NULL. IPv6 stands in brackets. */
const char *overrides_check(const char *text);

/* Add one, in which nothing is wrong: a host and port that are there get more addresses. */
void overrides_add(struct overrides *overrides, const char *text);

/* The addresses of a host and port, with the port; NULL when there are none. What is for all hosts comes last. */
const struct addresses *overrides_find(const struct overrides *overrides, const char *host, uint16_t port);

#endif
