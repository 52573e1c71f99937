#include "sources.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "address.h"
#include "clock.h"
#include "log.h"

#define SAY_AGAIN_MS 60000
#define PREFIX_SIZE 8

/* What the rest of a key is. */
enum kind {
	KIND_V4,        /* the address */
	KIND_V6,        /* the first half of the address */
	KIND_V6_ON_LINK /* the second half: on a link, all have the same first one */
};

struct source {
	uint8_t key[SOURCE_KEY_SIZE];
	size_t count;
};

static void
set_key(uint8_t key[SOURCE_KEY_SIZE], enum kind kind, const void *p, size_t n)
{
	memset(key, 0, SOURCE_KEY_SIZE);
	key[0] = (uint8_t)kind;
	memcpy(key + 1, p, n);
}

bool
source_key(const struct sockaddr *sa, uint8_t key[SOURCE_KEY_SIZE])
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	if (address_is_local(sa))
		return false;
	if (sa->sa_family == AF_INET)
		set_key(key, KIND_V4, &in->sin_addr, sizeof in->sin_addr);
	else if (sa->sa_family != AF_INET6)
		return false;
	else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		set_key(key, KIND_V4, in6->sin6_addr.s6_addr + 12, sizeof in->sin_addr);
	else if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		set_key(key, KIND_V6_ON_LINK, in6->sin6_addr.s6_addr + PREFIX_SIZE, PREFIX_SIZE);
	else
		set_key(key, KIND_V6, in6->sin6_addr.s6_addr, PREFIX_SIZE);
	return true;
}

static int
compare(const void *a, const void *b)
{
	const struct source *one = a, *other = b;

	return memcmp(one->key, other->key, SOURCE_KEY_SIZE);
}

/* Add the source to the tree. NULL without memory. */
static struct source *
add(struct sources *sources, const struct source *wanted)
{
	struct source *source = malloc(sizeof *source);

	if (source == NULL)
		return NULL;
	*source = *wanted;
	if (tsearch(source, &sources->tree, compare) != NULL)
		return source;
	free(source);
	return NULL;
}

size_t
sources_enter(struct sources *sources, const struct sockaddr *sa, struct source **source)
{
	struct source wanted = {.count = 0};
	struct source **found;

	*source = NULL;
	if (!source_key(sa, wanted.key))
		return 0;
	found = tfind(&wanted, &sources->tree, compare);
	*source = found != NULL ? *found : add(sources, &wanted);
	return *source != NULL ? ++(*source)->count : SIZE_MAX;
}

/* Warn that there are too many from this address. */
static void
complain(struct sources *sources, const struct sockaddr *sa)
{
	const uint64_t now_ms = clock_now_ms();
	char text[ADDRESS_TEXT_SIZE];

	if (sources->said_ms != 0 && now_ms - sources->said_ms < SAY_AGAIN_MS)
		return;
	sources->said_ms = now_ms;
	address_format(sa, text);
	log_warning("too many connections from one address: %s is turned away; see --max-per-address", text);
}

size_t
sources_admit(struct sources *sources, size_t limit, const struct sockaddr *sa, struct source **source)
{
	size_t count;

	*source = NULL;
	if (limit == 0)
		return 0;
	count = sources_enter(sources, sa, source);
	if (count <= limit)
		return 0;
	complain(sources, sa);
	return count - limit;
}

void
sources_leave(struct sources *sources, struct source *source)
{
	if (source == NULL || --source->count > 0)
		return;
	tdelete(source, &sources->tree, compare);
	free(source);
}
