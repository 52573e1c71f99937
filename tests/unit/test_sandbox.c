/* What can still be done within the sandbox. A kernel without Landlock, and a build with sanitizers, have none. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "build.h"
#include "sandbox.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#define NETWORK_VERSION 4

/* What is tried in the sandbox; each is an errno in the end. */
enum attempt {
	READ_FILE,
	READ_REPLACED,
	READ_BEHIND_LINK,
	READ_HOSTS,
	REMOVE_SOCKET,
	READ_ELSEWHERE,
	LIST_FOLDER,
	WRITE_FILE,
	MAKE_FILE,
	REMOVE_FILE,
	EXECUTE,
	BIND,
	ATTEMPTS,
};

/* Folders, and files in them. */
struct tree {
	char folder[32];  /* has what may be read */
	char linked[32];  /* has what a link in it leads to */
	char sockets[32]; /* has a Unix socket */
	char other[32];
	char file[64];
	char link[64];
	char target[64];
	char socket[64];
	char elsewhere[64];
};

static void
write_file(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

static void
make_folder(char folder[32], const char *name)
{
	snprintf(folder, 32, "/tmp/wisp-%s-XXXXXX", name);
	assert_non_null(mkdtemp(folder));
}

static void
make_tree(struct tree *tree)
{
	make_folder(tree->folder, "a");
	make_folder(tree->linked, "b");
	make_folder(tree->sockets, "c");
	make_folder(tree->other, "d");
	snprintf(tree->file, sizeof tree->file, "%s/file", tree->folder);
	snprintf(tree->link, sizeof tree->link, "%s/link", tree->folder);
	snprintf(tree->target, sizeof tree->target, "%s/target", tree->linked);
	snprintf(tree->socket, sizeof tree->socket, "%s/socket", tree->sockets);
	snprintf(tree->elsewhere, sizeof tree->elsewhere, "%s/file", tree->other);
	write_file(tree->file);
	write_file(tree->target);
	write_file(tree->socket);
	write_file(tree->elsewhere);
	assert_int_equal(symlink(tree->target, tree->link), 0);
}

static void
remove_tree(const struct tree *tree)
{
	char made[64];

	snprintf(made, sizeof made, "%s/made", tree->folder);
	unlink(made);
	unlink(tree->file);
	unlink(tree->link);
	unlink(tree->target);
	unlink(tree->socket);
	unlink(tree->elsewhere);
	assert_int_equal(rmdir(tree->folder), 0);
	assert_int_equal(rmdir(tree->linked), 0);
	assert_int_equal(rmdir(tree->sockets), 0);
	assert_int_equal(rmdir(tree->other), 0);
}

static int
try_open(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Put a new file in the place of the old one, as before the sandbox. */
static void
replace(const char *path)
{
	char other[80];

	snprintf(other, sizeof other, "%s.new", path);
	write_file(other);
	assert_int_equal(rename(other, path), 0);
}

static int
try_bind(void)
{
	const struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd >= 0 && bind(fd, (const struct sockaddr *)&in, sizeof in) == 0 ? 0 : errno;
}

static int
try_execute(const char *path)
{
	char *const argv[] = {NULL, NULL};

	execve(path, argv, argv);
	return errno;
}

static void
attempt_all(const struct tree *tree, int outcome[ATTEMPTS])
{
	char made[64];

	snprintf(made, sizeof made, "%s/made", tree->folder);
	outcome[READ_FILE] = try_open(tree->link, O_RDONLY);
	outcome[READ_BEHIND_LINK] = try_open(tree->target, O_RDONLY);
	outcome[READ_HOSTS] = try_open("/etc/hosts", O_RDONLY);
	outcome[REMOVE_SOCKET] = unlink(tree->socket) == 0 ? 0 : errno;
	outcome[READ_ELSEWHERE] = try_open(tree->elsewhere, O_RDONLY);
	outcome[LIST_FOLDER] = try_open(tree->folder, O_RDONLY | O_DIRECTORY);
	outcome[WRITE_FILE] = try_open(tree->file, O_WRONLY);
	outcome[MAKE_FILE] = try_open(made, O_WRONLY | O_CREAT);
	outcome[BIND] = try_bind();
	outcome[EXECUTE] = try_execute(tree->elsewhere); /* which is empty: without a sandbox, ENOEXEC */
	outcome[REMOVE_FILE] = unlink(tree->elsewhere) == 0 ? 0 : errno;
}

/* Enter the sandbox in a process of its own, and try everything there. The file is replaced meanwhile. */
static void
run(const struct tree *tree, int outcome[ATTEMPTS])
{
	const char *const files[] = {NULL, tree->file, tree->link};
	struct endpoints endpoints = {.count = 1, .items = {{.fd = -1}}};
	struct sockaddr_un *un = (void *)&endpoints.items[0].address.storage;
	int entered[2] = {-1, -1}, result[2] = {-1, -1}, go[2] = {-1, -1};
	char byte = 0;
	pid_t pid;

	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, tree->socket, sizeof tree->socket);
	assert_true(pipe(entered) == 0 && pipe(result) == 0 && pipe(go) == 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sandbox_enter(files, sizeof files / sizeof files[0], &endpoints);
		if (write(entered[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1)
			attempt_all(tree, outcome);
		outcome[READ_REPLACED] = try_open(tree->file, O_RDONLY);
		_exit(write(result[1], outcome, ATTEMPTS * sizeof *outcome) > 0 ? 0 : 1);
	}
	assert_int_equal(read(entered[0], &byte, 1), 1);
	replace(tree->file);
	assert_int_equal(write(go[1], &byte, 1), 1);
	assert_int_equal(read(result[0], outcome, ATTEMPTS * sizeof *outcome), ATTEMPTS * sizeof *outcome);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 2; i++)
		close(entered[i]), close(result[i]), close(go[i]);
}

static void
only_what_is_needed_can_be_done(void **state)
{
	const long version = BUILD_SANITIZED ? 0 : syscall(SYS_landlock_create_ruleset, NULL, 0, 1U);
	const int denied = version > 0 ? EACCES : 0;
	int outcome[ATTEMPTS] = {0};
	struct tree tree;

	(void)state;
	make_tree(&tree);
	run(&tree, outcome);
	assert_int_equal(outcome[READ_FILE], 0);
	assert_int_equal(outcome[READ_REPLACED], 0);
	assert_int_equal(outcome[READ_BEHIND_LINK], 0);
	assert_int_equal(outcome[READ_HOSTS], 0);
	assert_int_equal(outcome[REMOVE_SOCKET], 0);
	assert_int_equal(outcome[READ_ELSEWHERE], denied);
	assert_int_equal(outcome[LIST_FOLDER], denied);
	assert_int_equal(outcome[WRITE_FILE], denied);
	assert_int_equal(outcome[MAKE_FILE], denied);
	assert_int_equal(outcome[REMOVE_FILE], denied);
	assert_int_equal(outcome[EXECUTE], version > 0 ? EACCES : ENOEXEC);
	assert_int_equal(outcome[BIND], version >= NETWORK_VERSION ? EACCES : 0);
	remove_tree(&tree);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_needed_can_be_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
