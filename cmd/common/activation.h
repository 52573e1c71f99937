/* Listening sockets that systemd passed, as in sd_listen_fds(3). */
#ifndef ACTIVATION_H
#define ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

#define ACTIVATION_MAX 16

/*
 * Take the descriptors that were passed to this process, and what says so out of the environment. Each is non-blocking
 * and a listening stream socket of TCP or Unix. Returns false when that is not so: logged.
 */
bool activation_take(int fds[ACTIVATION_MAX], size_t *count);

#endif
