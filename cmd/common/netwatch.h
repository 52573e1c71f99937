/*
 * Tells when the machine's network changes: an address that other machines can reach comes or goes, or a default route
 * does (rtnetlink(7)). It needs no privileges, and uses no CPU time while nothing changes.
 */
#ifndef NETWATCH_H
#define NETWATCH_H

#include <event2/event.h>

struct netwatch;

/* Start watching. Returns NULL, with a debug message, when that fails: changes go unnoticed then. */
struct netwatch *netwatch_new(struct event_base *base, void (*changed)(void *arg), void *arg);

/* NULL is allowed. */
void netwatch_free(struct netwatch *netwatch);

#endif
