/* --resolve: addresses that the user gives for a host and port, which are not looked up then. */
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

/* Check HOST:PORT:ADDRESS[,ADDRESS...], with IPv6 in brackets. Returns what is wrong, or NULL. */
const char *overrides_check(const char *text);

/* Add a valid override. A host and port that are already known get more addresses. */
void overrides_add(struct overrides *overrides, const char *text);

/*
 * The addresses of a host and port, with the port; NULL when there are none. An entry for all hosts counts only when
 * there is none for this host.
 */
const struct addresses *overrides_find(const struct overrides *overrides, const char *host, uint16_t port);

#endif
