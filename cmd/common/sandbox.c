#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/x509.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "build.h"
#include "log.h"

/*
 * landlock(7). The kernel's own header may be older than the kernel that the program runs on: what is needed of it
 * stands here.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define GET_VERSION 1U /* LANDLOCK_CREATE_RULESET_VERSION */
#define PATH_BENEATH 1 /* LANDLOCK_RULE_PATH_BENEATH */

enum access {
	ACCESS_READ_FILE = 1 << 2,
	ACCESS_READ_DIR = 1 << 3,
	ACCESS_REMOVE_FILE = 1 << 5,
};

struct ruleset {
	uint64_t files;   /* what is forbidden but where a rule allows it */
	uint64_t network; /* from version 4 on */
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* Rights that each version of the interface knows, from version 1 on: all those of a file, and what came later. */
static const uint64_t file_rights[] = {0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff};
#define VERSION_KNOWN ((long)(sizeof file_rights / sizeof file_rights[0]))
#define NETWORK_VERSION 4
#define NETWORK_BIND_TCP 1

static void
allow(int ruleset, const char *folder, uint64_t allowed)
{
	struct path_beneath rule = {.allowed = allowed};

	rule.parent_fd = open(folder, O_PATH | O_CLOEXEC | O_DIRECTORY);
	if (rule.parent_fd < 0)
		return;
	if (syscall(SYS_landlock_add_rule, ruleset, PATH_BENEATH, &rule, 0) != 0)
		log_debug("Landlock: cannot allow %s: %s", folder, strerror(errno));
	close(rule.parent_fd);
}

static void
allow_parent(int ruleset, const char *path, uint64_t allowed)
{
	char *copy = strdup(path); /* dirname() changes it */

	if (copy != NULL)
		allow(ruleset, dirname(copy), allowed);
	free(copy);
}

/* The name may be a link. Either the link or what it leads to is replaced, so both have their folders read. */
static void
allow_file(int ruleset, const char *path)
{
	char *real = realpath(path, NULL);

	allow_parent(ruleset, path, ACCESS_READ_FILE);
	if (real != NULL)
		allow_parent(ruleset, real, ACCESS_READ_FILE);
	free(real);
}

static const char *
variable_or(const char *variable, const char *otherwise)
{
	const char *value = getenv(variable);

	return value != NULL ? value : otherwise;
}

/* `folders` are separated by colons. */
static void
allow_list(int ruleset, const char *folders)
{
	char *const copy = strdup(folders);
	char *rest = copy;
	const char *folder;

	while ((folder = strsep(&rest, ":")) != NULL)
		allow(ruleset, folder, ACCESS_READ_FILE | ACCESS_READ_DIR);
	free(copy);
}

/* Where the system keeps the certificates that it trusts: OpenSSL looks for them by name when it needs them. */
static void
allow_trusted(int ruleset)
{
	allow_file(ruleset, variable_or(X509_get_default_cert_file_env(), X509_get_default_cert_file()));
	allow_list(ruleset, variable_or(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()));
	/* To where links in that folder lead, on Debian and its like. */
	allow(ruleset, "/usr/share/ca-certificates", ACCESS_READ_FILE);
	allow(ruleset, "/usr/local/share/ca-certificates", ACCESS_READ_FILE);
}

/*
 * The files that the resolver reads, and the places that /etc/resolv.conf may link to after another network service
 * takes over.
 */
static void
allow_names(int ruleset)
{
	allow_file(ruleset, "/etc/resolv.conf");
	allow_file(ruleset, "/etc/hosts");
	allow_file(ruleset, "/etc/nsswitch.conf");
	allow_list(ruleset, "/run/systemd/resolve:/run/NetworkManager:/run/resolvconf:/run/connman");
}

static void
allow_sockets(int ruleset, const struct endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->count; i++) {
		const struct endpoint *endpoint = &endpoints->items[i];
		const struct sockaddr_un *un = (const void *)&endpoint->address.storage;

		if (un->sun_family == AF_UNIX && endpoint->fd < 0)
			allow_parent(ruleset, un->sun_path, ACCESS_REMOVE_FILE);
	}
}

/* Returns the descriptor of a new set of rules, or -1 with errno. */
static int
create_ruleset(void)
{
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
	const long known = version < VERSION_KNOWN ? version : VERSION_KNOWN;
	struct ruleset ruleset = {0};

	if (version < 1)
		return -1;
	ruleset.files = file_rights[known - 1];
	if (known < NETWORK_VERSION)
		return (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset.files, 0);
	ruleset.network = NETWORK_BIND_TCP;
	return (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
}

void
sandbox_enter(const char *const *files, size_t count, const struct endpoints *endpoints)
{
	const int ruleset = BUILD_SANITIZED ? -1 : create_ruleset();

	if (ruleset < 0) {
		log_debug("no Landlock: %s", BUILD_SANITIZED ? "sanitizers read files" : strerror(errno));
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (files[i] != NULL)
			allow_file(ruleset, files[i]);
	allow_names(ruleset);
	allow_trusted(ruleset);
	allow_sockets(ruleset, endpoints);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) == 0)
		log_debug("Landlock: only folders of files that are read again can be read");
	else
		log_debug("no Landlock: %s", strerror(errno));
	close(ruleset);
}
