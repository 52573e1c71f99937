/* What nsswitch.conf(5) says about hosts: where names are looked for, in which order. */
#ifndef NSSWITCH_H
#define NSSWITCH_H

#include <stdbool.h>
#include <stddef.h>

enum name_source {
	NAME_SOURCE_FILES, /* /etc/hosts */
	NAME_SOURCE_DNS,
};

#define NAME_SOURCES_MAX 2

struct nsswitch {
	struct {
		enum name_source source;
		bool final; /* a name that it does not know is looked for nowhere else */
	} sources[NAME_SOURCES_MAX];
	size_t count;
	char others[128]; /* modules there that we have not, separated by spaces; "" when there are none */
};

/*
 * Read such a file's text. Without a line for hosts, and for one that leaves nothing, it is "files dns". Systemd's
 * `resolve` stands for dns where that is missing: its server is asked over DNS instead.
 */
void nsswitch_parse(struct nsswitch *nsswitch, const char *text, size_t n);

#endif
