#include "addresses.h"

#include <string.h>

#include <event2/util.h>

/* Where an address stands in the list; the list's count when it is not there. */
static size_t
find(const struct addresses *list, const struct sockaddr *sa)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (evutil_sockaddr_cmp((const struct sockaddr *)&list->items[i].storage, sa, 1) == 0)
			break;
	return i;
}

void
addresses_add(struct addresses *addresses, const struct sockaddr *sa, socklen_t size)
{
	struct address *address;

	if (addresses->count == ADDRESSES_MAX || find(addresses, sa) < addresses->count)
		return;
	address = &addresses->items[addresses->count++];
	*address = (struct address){.size = size};
	memcpy(&address->storage, sa, size);
}

static void
add_item(struct addresses *addresses, const struct addresses *from, size_t i)
{
	if (i < from->count)
		addresses_add(addresses, (const struct sockaddr *)&from->items[i].storage, from->items[i].size);
}

void
addresses_merge(struct addresses *addresses, const struct addresses *v6, const struct addresses *v4)
{
	addresses->count = 0;
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		add_item(addresses, v6, i);
		add_item(addresses, v4, i);
	}
}

/* Put the one at this position first. */
static void
move_to_front(struct addresses *list, size_t position)
{
	const struct address address = list->items[position];

	memmove(list->items + 1, list->items, position * sizeof *list->items);
	list->items[0] = address;
}

void
addresses_prefer(struct addresses *addresses, const struct addresses *worked)
{
	for (size_t i = 0; i < worked->count; i++) {
		const size_t position = find(addresses, (const struct sockaddr *)&worked->items[i].storage);

		if (position == addresses->count)
			continue;
		move_to_front(addresses, position);
		break;
	}
}

void
addresses_remember(struct addresses *worked, const struct address *address)
{
	const struct address remembered = *address;
	size_t position = find(worked, (const struct sockaddr *)&remembered.storage);

	if (position == worked->count && worked->count < ADDRESSES_MAX)
		worked->count++;
	if (position == ADDRESSES_MAX)
		position--;
	worked->items[position] = remembered;
	move_to_front(worked, position);
}
