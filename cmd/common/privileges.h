/*
 * What the process may do. At first, what keeps its secrets to itself; once it has opened and read what it must, it
 * gives up its rights.
 */
#ifndef PRIVILEGES_H
#define PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

/* The user to become. */
struct privileges {
	const char *name; /* NULL to stay who we are */
	uid_t uid;
	gid_t gid;
};

/* No dumps of memory, which has secrets in it, and no new rights by executing something. To be called first. */
void privileges_protect(void);

/* Look the user of --user-name up; NULL is to stay who we are. Returns false when that cannot be: logged. */
bool privileges_find(const char *name, struct privileges *privileges);

/*
 * Become that user, for good, and give up what rights there are: all but those of a root who is to stay root. `files`
 * are those that are read again on HUP, some of which may be NULL: it is warned of those that cannot be read any more.
 * Returns false when not all rights are gone: logged.
 */
bool privileges_drop(const struct privileges *privileges, const char *const *files, size_t count);

#endif
