/* Header lines that the user adds to the upgrade request: 'Name: value' as curl takes them. */
#ifndef HEADER_H
#define HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "options.h"

/* What all of them may have together, in bytes. Common servers take a request of 8 KiB. */
#define HEADERS_SIZE_MAX 6144

/*
 * What is wrong with the lines, or NULL. *wrong is then the line in question. A Host line is allowed once, any other
 * that the handshake itself sets is not.
 */
const char *headers_check(const struct option_list *lines, const char **wrong);

/* What libwebsockets has room for in its Host line, with the final NUL: in 4.1, that is 128 with its name. */
#define HEADER_HOST_SIZE 118

/* Copy the value of the Host line. Returns false when there is none. */
bool headers_host(const struct option_list *lines, char host[HEADER_HOST_SIZE]);

/*
 * Write the lines, but Host, as they go into the request; `lines` may be NULL for none. `cookies` ("" for none) go into
 * the first Cookie line, for there may be only one (RFC 6265 section 5.4), or into one of their own. Returns the size,
 * or n or more when there is no room.
 */
size_t headers_write(const struct option_list *lines, const char *cookies, char *p, size_t n);

#endif
