/* Whether what somebody names as a way out is one of our own listeners: who goes there goes round in a circle. */
#ifndef OURSELVES_H
#define OURSELVES_H

#include <stdbool.h>
#include <stdint.h>

struct endpoints;

/*
 * Whether a program of this machine that connects to this host and port comes to one of the endpoints. Names are not
 * looked up: localhost is one for loopback, and this machine's own name for any of its addresses.
 */
bool ourselves_are_at(const struct endpoints *endpoints, const char *host, uint16_t port);

#endif
