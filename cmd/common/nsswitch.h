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
		bool final; /* when this source does not know a name, the search ends */
	} sources[NAME_SOURCES_MAX];
	size_t count;
	char others[128]; /* unsupported modules, separated by spaces; "" for none */
};

/*
 * Parse the text of nsswitch.conf. Without a hosts line, or when no module on it is supported, the order is "files
 * dns". systemd's `resolve` means dns on a line without dns: systemd-resolved is asked over DNS instead.
 */
void nsswitch_parse(struct nsswitch *nsswitch, const char *text, size_t n);

#endif
