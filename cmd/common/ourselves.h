/* Detects a way out, such as a proxy, that is one of our own listeners: connecting there would be a loop. */
#ifndef OURSELVES_H
#define OURSELVES_H

#include <stdbool.h>
#include <stdint.h>

struct endpoints;

/*
 * Whether a connection from this machine to this host and port reaches one of the endpoints. Names are not looked up:
 * "localhost" is taken for loopback, and this machine's host name for each of its addresses.
 */
bool ourselves_are_at(const struct endpoints *endpoints, const char *host, uint16_t port);

#endif
