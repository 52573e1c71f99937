#include "overrides.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "address.h"

#define ANY_HOST "*"
#define FORM "it must be HOST:PORT:ADDRESS[,ADDRESS...], with IPv6 in brackets"

/* Read one address of n characters. */
static bool
add_address(struct override *override, const char *text, size_t n)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(override->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(override->port)};
	char address[INET6_ADDRSTRLEN];
	const bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
	const int size = (int)(brackets ? n - 2 : n);

	if (snprintf(address, sizeof address, "%.*s", size, brackets ? text + 1 : text) >= (int)sizeof address)
		return false;
	if (!brackets && inet_pton(AF_INET, address, &in.sin_addr) == 1)
		addresses_add(&override->addresses, (const struct sockaddr *)&in, sizeof in);
	else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
		addresses_add(&override->addresses, (const struct sockaddr *)&in6, sizeof in6);
	else
		return false;
	return true;
}

/* The colon behind the port, if the text begins with HOST:PORT: at all. */
static const char *
find_list(const char *text)
{
	const char *colon = strchr(text[0] == '[' ? text + strcspn(text, "]") : text, ':');

	return colon != NULL ? strchr(colon + 1, ':') : NULL;
}

/* The host in the form that a URL's has. */
static const char *
read_host(const char *text, size_t n, struct override *override)
{
	char url_text[URL_TEXT_SIZE];
	const char *wrong;
	struct url url;

	if (strncmp(text, ANY_HOST ":", strlen(ANY_HOST ":")) == 0)
		return address_split(text, n, override->host, sizeof override->host, &override->port) ? NULL : FORM;
	if (snprintf(url_text, sizeof url_text, "ws://%.*s/", (int)n, text) >= (int)sizeof url_text)
		return "the host name is too long";
	wrong = url_parse(url_text, &url);
	if (wrong != NULL)
		return wrong;
	memcpy(override->host, url.host, sizeof override->host);
	override->port = url.port;
	return NULL;
}

static const char *
parse(const char *text, struct override *override)
{
	const char *list, *wrong;

	memset(override, 0, sizeof *override);
	if (text[0] == '+') /* curl's, for one that is forgotten after a while */
		text++;
	list = find_list(text);
	if (list == NULL || memchr(text, '/', (size_t)(list - text)) != NULL)
		return FORM;
	wrong = read_host(text, (size_t)(list - text), override);
	if (wrong != NULL)
		return wrong;
	do {
		const size_t n = strcspn(++list, ",");

		if (!add_address(override, list, n))
			return FORM;
		list += n;
	} while (*list != '\0');
	return NULL;
}

/* The size of a name without the dot of the root. */
static size_t
name_size(const char *name)
{
	const size_t n = strlen(name);

	return n > 1 && name[n - 1] == '.' ? n - 1 : n;
}

/* Where the host and port stand; the count when they do not. */
static size_t
find_host(const struct overrides *overrides, const char *host, uint16_t port)
{
	const size_t n = name_size(host);
	size_t i;

	for (i = 0; i < overrides->count; i++) {
		const struct override *override = &overrides->items[i];

		if (override->port == port && name_size(override->host) == n &&
			strncasecmp(override->host, host, n) == 0)
			break;
	}
	return i;
}

const char *
overrides_check(const char *text)
{
	struct override override;

	return parse(text, &override);
}

void
overrides_add(struct overrides *overrides, const char *text)
{
	struct override override, *same;
	size_t i;

	if (parse(text, &override) != NULL)
		return;
	i = find_host(overrides, override.host, override.port);
	if (i == OPTION_LIST_MAX)
		return; /* there are no more options than that */
	same = &overrides->items[i];
	if (i == overrides->count) {
		*same = override;
		overrides->count++;
	}
	for (size_t j = 0; j < override.addresses.count; j++)
		addresses_add(&same->addresses, (const struct sockaddr *)&override.addresses.items[j].storage,
			override.addresses.items[j].size);
}

const struct addresses *
overrides_find(const struct overrides *overrides, const char *host, uint16_t port)
{
	size_t i = find_host(overrides, host, port);

	if (i == overrides->count)
		i = find_host(overrides, ANY_HOST, port);
	return i < overrides->count ? &overrides->items[i].addresses : NULL;
}
