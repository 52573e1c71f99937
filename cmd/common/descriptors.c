#include "descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/resource.h>

#include "log.h"

/* The highest limit to ask for. */
#define LIMIT_MAX ((size_t)1 << 20)
/* A program that has just started has only descriptors below this, because the kernel assigns the lowest free one. */
#define LOOKED_AT 1024
/* How many to keep, and of a few, half. */
#define KEPT_MAX 16

size_t
descriptors_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return LOOKED_AT;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > LIMIT_MAX ? LIMIT_MAX : (size_t)limit.rlim_cur;
}

void
descriptors_fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void
descriptors_count(struct descriptors *descriptors, size_t limit)
{
	size_t free_count;

	*descriptors = (struct descriptors){.limit = limit};
	for (int fd = 0; fd < LOOKED_AT; fd++)
		descriptors->open += fcntl(fd, F_GETFD) != -1;
	free_count = limit > descriptors->open ? limit - descriptors->open : 0;
	descriptors->kept = free_count / 2 < KEPT_MAX ? free_count / 2 : KEPT_MAX;
	descriptors->left = free_count > descriptors->kept ? free_count - descriptors->kept : 1;
}

void
descriptors_warn(const struct descriptors *descriptors, size_t count, const char *whom)
{
	log_warning("only %zu %s at once: %zu files are open already, %zu are kept for the program itself, and the "
		    "limit of open files (ulimit -n) is %zu",
		count, whom, descriptors->open, descriptors->kept, descriptors->limit);
}
