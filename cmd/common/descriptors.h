/* The process's file descriptors: their limit, and how many are left for clients. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stddef.h>

/* Raise the limit of open files to the highest value that the system permits. Returns that value. */
size_t descriptors_raise_limit(void);

/*
 * Open /dev/null for each of standard input, output and error that is closed. Otherwise a socket would get its number.
 */
void descriptors_fill_standard(void);

struct descriptors {
	size_t limit;
	size_t open; /* now */
	size_t kept; /* reserved for look-ups, connections to servers, and files that are read again */
	size_t left; /* for clients and their streams; at least 1 */
};

/*
 * Count the descriptors. `limit` is what descriptors_raise_limit() returned. Call this when all permanent descriptors
 * are open, and before the first client.
 */
void descriptors_count(struct descriptors *descriptors, size_t limit);

/* Warn that at most `count` of `whom` are served at once, and why. */
void descriptors_warn(const struct descriptors *descriptors, size_t count, const char *whom);

#endif
