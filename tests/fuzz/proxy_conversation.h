/* A conversation with a proxy whose answers are the input, over a pair of sockets. */
#ifndef PROXY_CONVERSATION_H
#define PROXY_CONVERSATION_H

#include <stddef.h>

#include "failure.h"
#include "fuzz.h"

/*
 * Have wss://wisp.example/ asked for at this proxy, a URL, and its answers come in pieces as feed_split() makes them.
 * Returns the size of what was read when the way is open; or 0, with the failure.
 */
size_t proxy_converse(const char *proxy, unsigned split, const struct input *answer, struct failure *failure);

#endif
