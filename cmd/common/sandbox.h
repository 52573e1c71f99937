/*
 * What the process may open from now on, by Landlock, where the kernel has it: to read, the folders of the files that
 * are read again, and nothing to write or to execute. Folders, because files are replaced, not written.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stddef.h>

#include "endpoints.h"

/*
 * Close it. `files` are those that are read again, some of which may be NULL; the Unix sockets among the endpoints can
 * still be removed. What the resolver and OpenSSL read is known here. A kernel without it is worth a line of debugging.
 */
void sandbox_enter(const char *const *files, size_t count, const struct endpoints *endpoints);

#endif
