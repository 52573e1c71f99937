/*
 * The look-up of one name, in /etc/hosts and at name servers, in the system's order and with its search list. The
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

/* Where to look: one state of the system's files. It must outlive the look-up. */
struct lookup_settings {
	struct event_base *base;
	struct nameservers *servers;
	struct answers *answers;
	struct hosts *const *hosts; /* points to NULL when there is no hosts file */
	struct nsswitch nsswitch;
};

struct lookup_family {
	enum dns_type type;
	struct question *question; /* NULL when it is answered, or was not asked */
	struct dns_answer answer;
	bool answered;
};

enum lookup_stage {
	LOOKUP_SOURCE, /* try the next source */
	LOOKUP_ASK,    /* query name servers for the candidate */
	LOOKUP_WAIT,   /* wait for their answers */
	LOOKUP_DONE,
};

struct lookup {
	enum lookup_stage stage;
	const char *name;
	uint16_t port;
	const struct lookup_settings *settings;
	size_t source;    /* index of the next one in the settings */
	size_t candidate; /* index of the name being asked for, among those that the search list makes */
	bool server_failed;
	struct lookup_family v6;
	struct lookup_family v4;
	struct event delay; /* how long to wait for IPv6 once the IPv4 addresses are known */
	enum resolver_result result;
	struct addresses found;
	void (*done)(void *arg); /* the result is there */
	void *arg;
};

/*
 * Start a look-up whose structure is all zero. `name` must outlive it. `done` may be called before this returns; the
 * look-up is not used after that call.
 */
void lookup_start(struct lookup *lookup, const struct lookup_settings *settings, const char *name, uint16_t port,
	void (*done)(void *arg), void *arg);

/* End the look-up, whether it is done or not. */
void lookup_end(struct lookup *lookup);

#endif
