/*
 * Which addresses are this machine's own, on any interface. It asks the kernel's routing table. A connected socket's
 * own address does not tell: with several addresses in one network, the kernel uses the first.
 */
#ifndef OWN_H
#define OWN_H

#include <stdbool.h>

#include <sys/socket.h>

/* Open a socket for own_has(). Returns -1, with errno, on failure. */
int own_open(void);

/* Whether an IPv4 or IPv6 address is this machine's. False also when the kernel does not answer. */
bool own_has(int fd, const struct sockaddr *sa);

#endif
