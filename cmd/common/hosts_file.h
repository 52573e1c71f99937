/* /etc/hosts, for the resolver: read in pieces between other events, and again when it has changed. */
#ifndef HOSTS_FILE_H
#define HOSTS_FILE_H

#include <stdbool.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "hosts.h"
#include "watched.h"

struct hosts_file {
	struct watched file;
	struct hosts *hosts;   /* what it said last; NULL when nothing is known */
	struct hosts *reading; /* what it says now, as far as it has been read */
	int fd;                /* while it is being read */
	bool told;             /* that it is too large */
	struct event timer;
	void (*ready)(void *arg);
	void *arg;
};

/* `ready` is called whenever it has been read, never from within hosts_file_refresh(). */
void hosts_file_init(struct hosts_file *file, struct event_base *base, void (*ready)(void *arg), void *arg);
void hosts_file_free(struct hosts_file *file);

/* See whether it has changed. Returns true when what is known is what it says, and false while it is being read. */
bool hosts_file_refresh(struct hosts_file *file);

#endif
