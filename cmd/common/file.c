#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "log.h"

/*
 * Whether a secret is open to others: to everybody, or, when the file is ours, to its group. What systemd lends a
 * service as a credential is root's, and readable by a group that is the service alone.
 */
static bool
is_exposed(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return false;
	if (st->st_mode & (S_IROTH | S_IWOTH))
		return true;
	return st->st_uid == geteuid() && st->st_mode & (S_IRGRP | S_IWGRP);
}

/* Open a file. What is none, such as a pipe, must not keep us waiting for somebody to open its other end. */
static int
open_to_read(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd >= 0)
		fcntl(fd, F_SETFL, 0);
	return fd;
}

/* Read to the end, or until there is more than fits. Returns how many bytes there were, or -1 with errno. */
static ssize_t
read_up_to(int fd, char *text, size_t room)
{
	size_t size = 0;

	while (size < room) {
		const ssize_t n = read(fd, text + size, room - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	return (ssize_t)size;
}

static char *
read_all(int fd, size_t *size, const char **wrong)
{
	char *text = malloc(FILE_MAX + 1);
	ssize_t n;

	if (text == NULL) {
		*wrong = "out of memory";
		return NULL;
	}
	n = read_up_to(fd, text, FILE_MAX + 1);
	if (n < 0 || (size_t)n > FILE_MAX) {
		*wrong = n < 0 ? strerror(errno) : "it is too long";
		file_free(text, FILE_MAX);
		return NULL;
	}
	*size = (size_t)n;
	text[*size] = '\0';
	return text;
}

char *
file_read(const char *option, const char *path, bool secret, size_t *size)
{
	const int fd = open_to_read(path);
	const char *wrong = NULL;
	struct stat st;
	char *text = NULL;

	if (fd < 0 || fstat(fd, &st) != 0)
		wrong = strerror(errno);
	else if (S_ISDIR(st.st_mode))
		wrong = strerror(EISDIR);
	else if (secret && is_exposed(&st))
		wrong = "others can read it: chmod 600 it";
	else
		text = read_all(fd, size, &wrong);
	if (wrong != NULL)
		log_error("--%s: cannot use %s: %s", option, path, wrong);
	if (fd >= 0)
		close(fd);
	return text;
}

void
file_warn_if_exposed(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & S_IROTH))
		log_warning("everybody on this machine can read the key in %s; chmod o-r would stop that", path);
}

/*
 * Add a file to a digest: what is in it, of which there is nothing when it cannot be read, and its place among the
 * others. What can be read only once, as a pipe, is left to those who need it.
 */
static void
add_to_digest(EVP_MD_CTX *context, size_t place, const char *path)
{
	const int fd = open_to_read(path);
	struct stat st;
	size_t size = 0;
	char piece[4096];
	ssize_t n;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		while (size <= FILE_MAX && (n = read_up_to(fd, piece, sizeof piece)) > 0) {
			EVP_DigestUpdate(context, piece, (size_t)n);
			size += (size_t)n;
		}
		OPENSSL_cleanse(piece, sizeof piece);
	}
	EVP_DigestUpdate(context, &size, sizeof size);
	EVP_DigestUpdate(context, &place, sizeof place);
	if (fd >= 0)
		close(fd);
}

bool
file_digest(const char *const *paths, size_t count, uint8_t digest[FILE_DIGEST_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; good && i < count; i++)
		if (paths[i] != NULL)
			add_to_digest(context, i, paths[i]);
	good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return good;
}

void
file_free(char *text, size_t size)
{
	if (text == NULL)
		return;
	OPENSSL_cleanse(text, size);
	free(text);
}
