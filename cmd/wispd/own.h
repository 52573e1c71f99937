/*
 * Which addresses are this machine's own, whatever interface they are at. The kernel's routing table is asked: sockets
 * do not tell, for with several addresses in a network they go by the first of them.
 */
#ifndef OWN_H
#define OWN_H

#include <stdbool.h>

#include <sys/socket.h>

/* A socket to ask by; -1 with errno. */
int own_open(void);

/* Whether an IPv4 or IPv6 address is this machine's. False, too, when the kernel does not say. */
bool own_has(int fd, const struct sockaddr *sa);

#endif
