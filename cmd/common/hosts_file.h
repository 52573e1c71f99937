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
	struct hosts *hosts;   /* the last complete version; NULL when there is none */
	struct hosts *reading; /* the new version, as far as it has been read */
	int fd;                /* of the file while it is being read */
	bool told;             /* a warning was given that the file is too large */
	struct event timer;
	void (*ready)(void *arg);
	void *arg;
};

/* `ready` is called whenever the file has been read, never from within hosts_file_refresh(). */
void hosts_file_init(struct hosts_file *file, struct event_base *base, void (*ready)(void *arg), void *arg);
void hosts_file_free(struct hosts_file *file);

/*
 * Check whether the file has changed. Returns true when `hosts` is up to date, and false while the file is being read.
 */
bool hosts_file_refresh(struct hosts_file *file);

#endif
