#include "hosts_file.h"

#include <string.h>
#include <unistd.h>

#include "log.h"
#include "turn.h"

#define PATH "/etc/hosts"
/* What is read in one turn: some milliseconds' work. */
#define PIECE_SIZE ((size_t)64 << 10)

static void
take_over(struct hosts_file *file, bool complete)
{
	close(file->fd);
	file->fd = -1;
	if (!complete && file->reading != NULL && !file->told) {
		log_warning("the end of " PATH " is ignored: the file is too large");
		file->told = true;
	}
	hosts_free(file->hosts);
	file->hosts = file->reading;
	file->reading = NULL;
	file->ready(file->arg);
}

static void
on_hosts_turn(evutil_socket_t fd, short what, void *arg)
{
	static char piece[PIECE_SIZE];
	struct hosts_file *file = arg;
	const ssize_t n = read(file->fd, piece, sizeof piece);

	(void)fd, (void)what;
	if (!hosts_add(file->reading, piece, n > 0 ? (size_t)n : 0))
		take_over(file, false);
	else if (n <= 0)
		take_over(file, true);
	else
		turn_again(&file->timer);
}

void
hosts_file_init(struct hosts_file *file, struct event_base *base, void (*ready)(void *arg), void *arg)
{
	*file = (struct hosts_file){.file.path = PATH, .fd = -1, .ready = ready, .arg = arg};
	evtimer_assign(&file->timer, base, on_hosts_turn, file);
}

void
hosts_file_free(struct hosts_file *file)
{
	evtimer_del(&file->timer);
	if (file->fd >= 0)
		close(file->fd);
	hosts_free(file->reading);
	hosts_free(file->hosts);
}

/* Begin to read it. Returns false when there is nothing to be read. */
static bool
start_reading(struct hosts_file *file)
{
	const int fd = watched_open(&file->file);

	if (fd < 0 && !file->file.known)
		return false; /* keep the last version */
	if (fd >= 0)
		file->reading = hosts_new((size_t)file->file.seen.st_size);
	if (file->reading == NULL) {
		if (fd >= 0) {
			close(fd);
			file->file.known = false;
			return false;
		}
		hosts_free(file->hosts);
		file->hosts = NULL;
		return false;
	}
	file->fd = fd;
	return true;
}

bool
hosts_file_refresh(struct hosts_file *file)
{
	if (file->fd >= 0)
		return false;
	if (!watched_changed(&file->file) || !start_reading(file))
		return true;
	turn_again(&file->timer);
	return false;
}
