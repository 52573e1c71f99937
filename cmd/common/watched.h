/* A system settings file that is read again when it changes: written to, replaced, or removed. */
#ifndef WATCHED_H
#define WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/stat.h>

struct watched {
	const char *path;
	bool known; /* `seen` is valid: the state when the file was last opened */
	bool fresh; /* it was written to just before: a later write may have left the same time stamp */
	uint64_t opened_ms;
	struct stat seen; /* all zero when there was no file */
};

/* Whether the file has changed since it was last opened. */
bool watched_changed(const struct watched *file);

/*
 * Open the file for reading. Returns -1 when it is missing or cannot be read. When descriptors or memory are out,
 * `known` stays false, and so the file counts as changed the next time.
 */
int watched_open(struct watched *file);

/*
 * Read up to `max` bytes of the file into memory that the caller frees. Returns NULL and sets *size to 0 when there is
 * no file; returns NULL with `known` false when memory is out.
 */
char *watched_read(struct watched *file, size_t max, size_t *size);

#endif
