/* A file of the system's settings, which is read again when it has changed: written to, replaced, or gone. */
#ifndef WATCHED_H
#define WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/stat.h>

struct watched {
	const char *path;
	bool known; /* whether `seen` says what was there when it was last opened */
	bool fresh; /* it had been written to just then: it may since have been, within the clock's tick */
	uint64_t opened_ms;
	struct stat seen; /* all zero when there was none */
};

/* Whether it is another one than when it was last opened. */
bool watched_changed(const struct watched *file);

/*
 * Open it to be read. Returns -1 when there is none, or none that can be read. Where that is for want of descriptors or
 * memory, `known` stays false, and so it goes on to be taken for changed.
 */
int watched_open(struct watched *file);

/*
 * Read it, as far as `max` bytes, into memory for the caller to free. Returns NULL when there is none, with *size 0,
 * and without memory, with `known` false.
 */
char *watched_read(struct watched *file, size_t max, size_t *size);

#endif
