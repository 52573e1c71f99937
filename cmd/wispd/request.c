#include "request.h"

#include <stdlib.h>
#include <string.h>

#include <wisp/upgrade.h>

/* Most requests fit into it. */
#define FIRST_ROOM 1024
/* Each client may always have this much. */
#define SURE_ROOM 4096
/* Beyond that, all clients together may have this much. */
#define TOTAL_MAX ((size_t)16 << 20)

/* Make room for so many bytes. Returns false when that cannot be. */
static bool
request_grow(struct request *request, size_t *total, size_t size)
{
	size_t room = request->room > 0 ? request->room : FIRST_ROOM;
	char *head;

	while (room < size)
		room *= 2;
	if (room > WISP_UPGRADE_HEAD_MAX)
		room = WISP_UPGRADE_HEAD_MAX;
	if (room <= request->room)
		return true;
	if (room > SURE_ROOM && *total - request->room + room > TOTAL_MAX)
		return false;
	head = realloc(request->head, room);
	if (head == NULL)
		return false;
	*total += room - request->room;
	request->head = head;
	request->room = room;
	return true;
}

size_t
request_add(struct request *request, size_t *total, const uint8_t *p, size_t n)
{
	const size_t left = WISP_UPGRADE_HEAD_MAX - request->size;
	const size_t taken = n < left ? n : left;

	if (!request_grow(request, total, request->size + taken))
		return 0;
	memcpy(request->head + request->size, p, taken);
	request->size += taken;
	return taken;
}

bool
request_is_complete(struct request *request)
{
	const bool complete = request->size == WISP_UPGRADE_HEAD_MAX ||
			      wisp_upgrade_head_size(request->head, request->size, request->seen) > 0;

	request->seen = request->size;
	return complete;
}

void
request_clear(struct request *request, size_t *total)
{
	*total -= request->room;
	free(request->head);
	*request = (struct request){0};
}
