/*
 * What is said while there is no connection to the server: to the log, and to the service manager. The tunnel owns it,
 * and tells it what happens.
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
	struct event timer;       /* until it is said that it is */
	bool tried;               /* the first attempt has begun */
	bool warned;              /* of one that failed */
};

void outage_init(struct outage *outage, struct event_base *base);

/* This server is tried now. The first attempt of an outage is said when nothing has come of it for a second. */
void outage_try(struct outage *outage, const struct url *server);

/* The connection is over, and the next attempt comes after a pause. */
void outage_lost(struct outage *outage, const struct url *server, const char *reason, uint64_t pause_ms);

/* An attempt has failed, and the next one comes after a pause. The first one of an outage is a warning. */
void outage_failed(struct outage *outage, const struct url *server, const char *reason, uint64_t pause_ms);

/* There is a connection, or there will be none. */
void outage_end(struct outage *outage);

#endif
