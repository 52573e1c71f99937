/*
 * TCP cannot say whether a program that has ended its data still waits for an answer or has closed its socket: both
 * send the same FIN. When the program runs on this machine, the kernel knows.
 */
#ifndef ORPHAN_H
#define ORPHAN_H

#include <stdbool.h>

#include <event2/util.h>

/*
 * Whether the other end of a TCP connection is a socket of this machine that no process has open any more. False when
 * it is in use, somewhere else, or cannot be found.
 */
bool peer_is_orphan(evutil_socket_t fd);

#endif
