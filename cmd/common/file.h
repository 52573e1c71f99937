/* Small files that are read whole: credentials, keys. */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file is refused that is longer. */
#define FILE_MAX ((size_t)1 << 20)

/*
 * Read the file that `option` named. The text is terminated, *size does not count that, and the caller wipes it and
 * frees it with file_free(). A secret is refused when others can read it, as ssh does with its keys. Returns NULL, with
 * an error logged that names the option and the file.
 */
char *file_read(const char *option, const char *path, bool secret, size_t *size);

/* Log a warning when everybody can read a key that somebody else reads for us, and would not refuse. */
void file_warn_if_exposed(const char *path);

#define FILE_DIGEST_SIZE 32

/*
 * A digest of what is in some files, to see whether any has changed. Names that are NULL are passed over, and pipes are
 * not read. Returns false without memory.
 */
bool file_digest(const char *const *paths, size_t count, uint8_t digest[FILE_DIGEST_SIZE]);

/* Wipe and free. NULL is allowed. */
void file_free(char *text, size_t size);

#endif
