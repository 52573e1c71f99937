/*
 * Where a program is to listen: on the sockets that systemd passed to it, and on the addresses of --listen. They are
 * known before any is opened, so that what must not be open to others can be refused.
 */
#ifndef ENDPOINTS_H
#define ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>

#include "activation.h"
#include "address.h"
#include "options.h"

#define ENDPOINTS_MAX (ACTIVATION_MAX + OPTION_LIST_MAX)

struct endpoint {
	int fd; /* passed by systemd, or -1 */
	struct address address;
};

struct endpoints {
	struct endpoint items[ENDPOINTS_MAX];
	size_t count;
};

/*
 * Find them. `usual` is the address to listen on when systemd has passed none and none is in the list. Names are
 * resolved here. Returns false when one cannot be used: logged.
 */
bool endpoints_find(struct endpoints *endpoints, const struct option_list *listen, const char *usual);

/* The first one that others than this machine's programs can reach, or NULL. */
const struct endpoint *endpoints_find_open(const struct endpoints *endpoints);

#endif
