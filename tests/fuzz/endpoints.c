/* Fuzz target: an address to listen on. What was read of it is the same when it is written and read again. */
#include "endpoints.h"

#include <stdlib.h>
#include <string.h>

#include <netdb.h>
#include <netinet/in.h>

#include "complaints.h"
#include "fuzz.h"

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found);

/* No name is looked up. */
int
__wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	struct addrinfo numeric = *hints;

	numeric.ai_flags |= AI_NUMERICHOST;
	return __real_getaddrinfo(host, service, &numeric, found);
}

static void
check_writing(const struct address *address)
{
	const struct sockaddr_in6 *const in6 = (const void *)&address->storage;
	char text[ADDRESS_TEXT_SIZE];
	struct address again;

	if (in6->sin6_family == AF_INET6 && in6->sin6_scope_id != 0)
		return; /* which is not written */
	address_format((const struct sockaddr *)&address->storage, text);
	must(address_parse(text, &again) == NULL);
	must(again.size == address->size && memcmp(&again.storage, &address->storage, again.size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input input = {p, n};
	char *const text = input_text(&input);
	const struct option_list listen = {{text}, 1};
	static struct endpoints endpoints;

	complaints = 0;
	if (endpoints_find(&endpoints, &listen, "127.0.0.1:1080")) {
		must(address_check(text) == NULL && endpoints.count == 1 && complaints == 0);
		must(endpoints.items[0].address.mode <= 0777);
		must((endpoints_find_open(&endpoints) == NULL) ==
			address_is_local((const struct sockaddr *)&endpoints.items[0].address.storage));
		check_writing(&endpoints.items[0].address);
	} else {
		must(complaints == 1);
	}
	free(text);
	return 0;
}
