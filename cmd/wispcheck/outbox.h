/* What the probe has to send and the connection has not taken yet: frames are made in it, and written from it. */
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stddef.h>
#include <stdint.h>

struct outbox {
	uint8_t *p; /* `room` bytes; NULL at first */
	size_t room;
	size_t begin, end; /* what waits */
};

/* Room for n bytes behind what waits, to be counted with outbox_added(); NULL when that would be over `max`. */
uint8_t *outbox_reserve(struct outbox *outbox, size_t n, size_t max);
void outbox_added(struct outbox *outbox, size_t n);

/* How much waits, and where. */
size_t outbox_size(const struct outbox *outbox);
uint8_t *outbox_first(const struct outbox *outbox);
void outbox_taken(struct outbox *outbox, size_t n);

void outbox_clear(struct outbox *outbox);
void outbox_free(struct outbox *outbox);

#endif
