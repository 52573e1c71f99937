/* The process's descriptors: how many there may be, and how many of them are left for what comes and goes. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stddef.h>

/* Let the process have as many descriptors as the system permits. Returns how many that are. */
size_t descriptors_raise_limit(void);

/* Open /dev/null for standard input, output and error that were closed: sockets are not to be taken for them. */
void descriptors_fill_standard(void);

struct descriptors {
	size_t limit;
	size_t open; /* now */
	size_t kept; /* for look-ups, connections to come, and files that are read again */
	size_t left; /* for clients and what they ask for; 1 at least */
};

/*
 * Count them; `limit` is what descriptors_raise_limit() returned. To be called when everything is open that stays open,
 * and before there are clients.
 */
void descriptors_count(struct descriptors *descriptors, size_t limit);

/* Warn that only so many of `whom` are served at once, and why. */
void descriptors_warn(const struct descriptors *descriptors, size_t count, const char *whom);

#endif
