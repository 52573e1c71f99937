#include "addresses.h"

#include <stdbool.h>
#include <string.h>

/* Where an address stands in the list; the list's count when it is not there. */
static size_t
find(const struct addresses *list, const struct address *address)
{
	const struct sockaddr *sa = (const struct sockaddr *)&address->storage;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (evutil_sockaddr_cmp((const struct sockaddr *)&list->items[i].storage, sa, 1) == 0)
			break;
	return i;
}

/* Append the next address of this family. *next goes to what follows it; NULL when there was none. */
static void
append(struct addresses *list, const struct evutil_addrinfo **next, int family)
{
	struct address address = {0};

	while (*next != NULL && (*next)->ai_family != family)
		*next = (*next)->ai_next;
	if (*next == NULL)
		return;
	memcpy(&address.storage, (*next)->ai_addr, (*next)->ai_addrlen);
	address.size = (socklen_t)(*next)->ai_addrlen;
	*next = (*next)->ai_next;
	if (list->count < ADDRESSES_MAX && find(list, &address) == list->count)
		list->items[list->count++] = address;
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
addresses_order(struct addresses *addresses, const struct evutil_addrinfo *found, const struct addresses *worked)
{
	const struct evutil_addrinfo *v6 = found, *v4 = found;

	addresses->count = 0;
	while (v6 != NULL || v4 != NULL) {
		append(addresses, &v6, AF_INET6);
		append(addresses, &v4, AF_INET);
	}
	for (size_t i = 0; i < worked->count; i++) {
		const size_t position = find(addresses, &worked->items[i]);

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
	size_t position = find(worked, &remembered);

	if (position == worked->count && worked->count < ADDRESSES_MAX)
		worked->count++;
	if (position == ADDRESSES_MAX)
		position--;
	worked->items[position] = remembered;
	move_to_front(worked, position);
}
