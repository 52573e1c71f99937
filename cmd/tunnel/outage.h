/*
 * What the log and the service manager are told while there is no connection to the server. The tunnel owns it, and
 * reports to it what happens.
 */
#ifndef OUTAGE_H
#define OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

struct url;

struct outage {
	const struct url *server; /* being tried */
	struct event timer;       /* delays the line "connecting to" */
	bool tried;               /* the first attempt has begun */
	bool warned;              /* of a failed attempt */
};

void outage_init(struct outage *outage, struct event_base *base);

/* This server is being tried. The first attempt of an outage is logged only when it has taken a second. */
void outage_try(struct outage *outage, const struct url *server);

/* The connection was lost, and the next attempt comes after a pause. */
void outage_lost(struct outage *outage, const struct url *server, const char *reason, uint64_t pause_ms);

/*
 * An attempt has failed, and the next one comes after a pause. The first failure of an outage is logged as a warning.
 */
void outage_failed(struct outage *outage, const struct url *server, const char *reason, uint64_t pause_ms);

/* There is a connection, or there will be none. */
void outage_end(struct outage *outage);

#endif
