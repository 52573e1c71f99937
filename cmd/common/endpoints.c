#include "endpoints.h"

#include <errno.h>
#include <string.h>

#include "log.h"

static bool
add_passed(struct endpoints *endpoints, int fd)
{
	struct endpoint *endpoint = &endpoints->items[endpoints->count];
	struct address *address = &endpoint->address;

	*endpoint = (struct endpoint){.fd = fd, .address = {.size = sizeof address->storage}};
	if (getsockname(fd, (struct sockaddr *)&address->storage, &address->size) != 0) {
		log_error("cannot use descriptor %d, which systemd passed: %s", fd, strerror(errno));
		return false;
	}
	endpoints->count++;
	return true;
}

static bool
add_address(struct endpoints *endpoints, const char *text)
{
	struct endpoint *endpoint = &endpoints->items[endpoints->count];
	const char *wrong;

	endpoint->fd = -1;
	wrong = address_parse(text, &endpoint->address);
	if (wrong != NULL) {
		log_error("--listen %s: %s", text, wrong);
		return false;
	}
	endpoints->count++;
	return true;
}

bool
endpoints_find(struct endpoints *endpoints, const struct option_list *listen, const char *usual)
{
	int fds[ACTIVATION_MAX];
	size_t passed;

	endpoints->count = 0;
	if (!activation_take(fds, &passed))
		return false;
	for (size_t i = 0; i < passed; i++)
		if (!add_passed(endpoints, fds[i]))
			return false;
	for (size_t i = 0; i < listen->count; i++)
		if (!add_address(endpoints, listen->items[i]))
			return false;
	return endpoints->count > 0 || add_address(endpoints, usual);
}

const struct endpoint *
endpoints_find_open(const struct endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->count; i++)
		if (!address_is_local((const struct sockaddr *)&endpoints->items[i].address.storage))
			return &endpoints->items[i];
	return NULL;
}
