/*
 * The look-up of one name: in /etc/hosts and from name servers, in the system's order, with its search list. The
 * resolver starts and owns it.
 */
#ifndef LOOKUP_H
#define LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "answers.h"
#include "hosts.h"
#include "nameservers.h"
#include "nsswitch.h"
#include "resolver.h"

/* Where to look, by one state of the system's files. It outlives the look-up. */
struct lookup_settings {
	struct event_base *base;
	struct nameservers *servers;
	struct answers *answers;
	struct hosts *const *hosts; /* leads to NULL when there are none */
	struct nsswitch nsswitch;
};

struct lookup_family {
	enum dns_type type;
	struct question *question; /* NULL when it is answered, or was not asked */
	struct dns_answer answer;
	bool answered;
};

enum lookup_stage {
	LOOKUP_SOURCE, /* the next source is to be looked at */
	LOOKUP_ASK,    /* name servers are to be asked for the candidate */
	LOOKUP_WAIT,   /* they have been asked */
	LOOKUP_DONE,
};

struct lookup {
	enum lookup_stage stage;
	const char *name;
	uint16_t port;
	const struct lookup_settings *settings;
	size_t source;    /* of the settings' sources, the next one */
	size_t candidate; /* of the names that the search list makes, the one asked for */
	bool server_failed;
	struct lookup_family v6;
	struct lookup_family v4;
	struct event delay; /* while only the IPv4 addresses are known */
	enum resolver_result result;
	struct addresses found;
	void (*done)(void *arg); /* the result is there */
	void *arg;
};

/*
 * Begin one that is zero. `name` lives as long as the look-up. `done` may be called from within; what it is called from
 * does not touch the look-up any more.
 */
void lookup_start(struct lookup *lookup, const struct lookup_settings *settings, const char *name, uint16_t port,
	void (*done)(void *arg), void *arg);

/* End it, done or not. */
void lookup_end(struct lookup *lookup);

#endif
