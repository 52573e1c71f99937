/* The URL of a Wisp server. */
#ifndef URL_H
#define URL_H

#include <stdbool.h>
#include <stdint.h>

/* libwebsockets 4.1 has room for 128 characters of Host header, with its name, the port and the line's end. */
#define URL_HOST_SIZE 110
#define URL_PATH_SIZE 1024
#define URL_TEXT_SIZE (URL_HOST_SIZE + URL_PATH_SIZE + 20)

struct url {
	bool tls;
	bool host_is_address; /* IPv4 or IPv6 rather than a name */
	uint16_t port;
	char host[URL_HOST_SIZE];          /* without brackets */
	char authority[URL_HOST_SIZE + 8]; /* as the Host header wants it */
	char path[URL_PATH_SIZE];          /* with the query, if there is one */
	char text[URL_TEXT_SIZE];          /* the whole, for the log */
};

/* Read a ws:// or wss:// URL; a missing final "/" of the path is added. Returns NULL, or what is wrong with it. */
const char *url_parse(const char *text, struct url *url);

/*
 * Where a redirect from `base` leads (RFC 3986 section 5.2). `location` may be relative, and its scheme http or https
 * for ws or wss. Returns NULL, or what is wrong with it: another scheme than the base's is.
 */
const char *url_resolve(const struct url *base, const char *location, struct url *url);

/* Whether a redirect from `base` to `location` (any text) leads to another valid host. */
bool url_leaves_host(const struct url *base, const char *location);

/* Whether scheme, host and port are the same. */
bool url_same_origin(const struct url *a, const struct url *b);

#endif
