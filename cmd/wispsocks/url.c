#include "url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "address.h"

#define WS "ws://"
#define WSS "wss://"
#define WS_PORT 80
#define WSS_PORT 443

static bool
is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

static bool
is_visible(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* Copy the path and the query, with a "/" at the path's end. */
static bool
copy_path(const char *text, struct url *url)
{
	const size_t path_size = strcspn(text, "?#");
	const bool slash = path_size == 0 || text[path_size - 1] != '/';
	const size_t rest_size = strcspn(text + path_size, "#");
	const int n = snprintf(url->path, sizeof url->path, "%.*s%s%.*s", (int)path_size, text, slash ? "/" : "",
		(int)rest_size, text + path_size);

	return n > 0 && (size_t)n < sizeof url->path;
}

static void
write_texts(struct url *url)
{
	const bool brackets = strchr(url->host, ':') != NULL;
	const uint16_t usual = url->tls ? WSS_PORT : WS_PORT;
	char port[8] = "";

	if (url->port != usual)
		snprintf(port, sizeof port, ":%u", url->port);
	snprintf(url->authority, sizeof url->authority, "%s%s%s%s", brackets ? "[" : "", url->host, brackets ? "]" : "",
		port);
	snprintf(url->text, sizeof url->text, "%s%s%s", url->tls ? WSS : WS, url->authority, url->path);
}

const char *
url_parse(const char *text, struct url *url)
{
	size_t authority_size;

	memset(url, 0, sizeof *url);
	url->tls = strncasecmp(text, WSS, strlen(WSS)) == 0;
	if (!url->tls && strncasecmp(text, WS, strlen(WS)) != 0)
		return "a URL begins with ws:// or wss://";
	if (!is_visible(text))
		return "there is a space or another character in it that a URL cannot have";
	text += strlen(url->tls ? WSS : WS);
	authority_size = strcspn(text, "/?#");
	if (memchr(text, '@', authority_size) != NULL)
		return "a user name or password has no place in it";
	url->port = url->tls ? WSS_PORT : WS_PORT;
	if (authority_size >= sizeof url->host)
		return "the host name is too long";
	if (!address_split(text, authority_size, url->host, sizeof url->host, &url->port) || url->port == 0)
		return "it must name a host, and a port only from 1 to 65535";
	if (!copy_path(text + authority_size, url))
		return "it is too long";
	url->host_is_address = is_address(url->host);
	if (strchr(url->host, ':') != NULL && !url->host_is_address)
		return "the address in brackets is not IPv6";
	write_texts(url);
	return NULL;
}
