#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* A file that was written to this recently before it was read is checked again after this time. */
#define FRESH_MS 100

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

bool
watched_changed(const struct watched *file)
{
	struct stat now;

	if (!file->known || (file->fresh && clock_now_ms() - file->opened_ms >= FRESH_MS))
		return true;
	if (stat(file->path, &now) != 0)
		memset(&now, 0, sizeof now);
	return !same_file(&now, &file->seen);
}

static bool
is_fresh(const struct stat *seen)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return llabs((now.tv_sec - seen->st_mtim.tv_sec) * 1000LL + (now.tv_nsec - seen->st_mtim.tv_nsec) / 1000000) <
	       FRESH_MS;
}

int
watched_open(struct watched *file)
{
	const int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	memset(&file->seen, 0, sizeof file->seen);
	file->opened_ms = clock_now_ms();
	file->fresh = false;
	if (fd < 0) {
		file->known = errno != EMFILE && errno != ENFILE && errno != ENOMEM;
		if (file->known && stat(file->path, &file->seen) != 0)
			memset(&file->seen, 0, sizeof file->seen);
		return -1;
	}
	file->known = fstat(fd, &file->seen) == 0;
	file->fresh = file->known && is_fresh(&file->seen);
	return fd;
}

char *
watched_read(struct watched *file, size_t max, size_t *size)
{
	const int fd = watched_open(file);
	char *text = fd >= 0 ? malloc(max) : NULL;
	ssize_t n = 1;

	*size = 0;
	while (text != NULL && *size < max && (n = read(fd, text + *size, max - *size)) > 0)
		*size += (size_t)n;
	if (fd < 0)
		return NULL;
	close(fd);
	if (text == NULL || n < 0)
		file->known = false;
	return text;
}
