/*
 * How many connections there are from each address, so that one machine cannot take all the places. An IPv6 network of
 * 64 bits counts as one address: that is what a machine is given. This machine's own programs are not counted.
 */
#ifndef SOURCES_H
#define SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

#define SOURCE_KEY_SIZE 9

struct source;

/* All zero at first, and empty again when all connections have ended. */
struct sources {
	void *tree;
	uint64_t said_ms; /* when it last warned; 0 for never */
};

/* What connections are counted by. Returns false when they are not: they come from this machine. */
bool source_key(const struct sockaddr *sa, uint8_t key[SOURCE_KEY_SIZE]);

/*
 * Count one more connection from an address. Returns how many there are now, with it; SIZE_MAX without memory, and 0
 * when it is not counted. `*source` is to be given to sources_leave() when the connection ends.
 */
size_t sources_enter(struct sources *sources, const struct sockaddr *sa, struct source **source);

/*
 * The same, where so many connections from an address are allowed; 0 is no limit, and nothing is counted. Returns how
 * many there are beyond that, of which it warns once a minute at the most.
 */
size_t sources_admit(struct sources *sources, size_t limit, const struct sockaddr *sa, struct source **source);

/* A connection has ended. NULL is allowed. */
void sources_leave(struct sources *sources, struct source *source);

#endif
