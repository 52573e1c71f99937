#include "outbox.h"

#include <stdlib.h>
#include <string.h>

/* The room that it begins with, and goes back to. */
#define ROOM_MIN ((size_t)256 * 1024)

uint8_t *
outbox_first(const struct outbox *outbox)
{
	return outbox->p + outbox->begin;
}

size_t
outbox_size(const struct outbox *outbox)
{
	return outbox->end - outbox->begin;
}

uint8_t *
outbox_reserve(struct outbox *outbox, size_t n, size_t max)
{
	const size_t waiting = outbox_size(outbox);
	size_t room = outbox->room;
	uint8_t *p;

	if (n > max || waiting > max - n)
		return NULL;
	/* Moving never costs more than what was sent since the last time. */
	if (outbox->begin > 0 && outbox->begin >= waiting && (waiting == 0 || outbox->end + n > outbox->room)) {
		memmove(outbox->p, outbox_first(outbox), waiting);
		outbox->begin = 0;
		outbox->end = waiting;
	}
	if (room > ROOM_MIN && outbox->end + n <= ROOM_MIN)
		room = ROOM_MIN;
	while (room < outbox->end + n)
		room = room < ROOM_MIN ? ROOM_MIN : room * 2;
	if (room != outbox->room) {
		p = realloc(outbox->p, room);
		if (p == NULL)
			return NULL;
		outbox->p = p;
		outbox->room = room;
	}
	return outbox->p + outbox->end;
}

void
outbox_added(struct outbox *outbox, size_t n)
{
	outbox->end += n;
}

void
outbox_taken(struct outbox *outbox, size_t n)
{
	outbox->begin += n;
}

void
outbox_clear(struct outbox *outbox)
{
	outbox->begin = outbox->end = 0;
}

void
outbox_free(struct outbox *outbox)
{
	free(outbox->p);
	outbox->p = NULL;
}
