/* Who may come in: user names and passwords from a file, a line "user:password" for each. */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include <wisp/handshake.h>

struct accounts;

/*
 * Read the file that `option` named. Empty lines and lines that begin with '#' are passed over. Returns NULL, with an
 * error logged that names the option, the file and the line.
 */
struct accounts *accounts_read(const char *option, const char *path);

/* NULL is allowed. */
void accounts_free(struct accounts *accounts);

/* Check a user name and a password. The time taken does not depend on how close a wrong password is. */
enum wisp_password accounts_check(const struct accounts *accounts, const char *user, size_t user_size,
	const char *password, size_t password_size);

#endif
