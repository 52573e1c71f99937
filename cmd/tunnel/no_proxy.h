/* The list of hosts that are reached without a proxy, as the environment variable no_proxy has it. */
#ifndef NO_PROXY_H
#define NO_PROXY_H

#include <stdbool.h>

/*
 * Whether the host, a name or an address without brackets, is on the list. As in curl: the items are separated by
 * commas or spaces. "*" is every host, a name also those below it, with or without a dot before it. An address is
 * itself, or with /BITS behind it a network.
 */
bool no_proxy_has(const char *list, const char *host);

#endif
