#include "url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <event2/http.h>

#include "address.h"
#include "idn.h"

#define WS "ws://"
#define WSS "wss://"
#define WS_PORT 80
#define WSS_PORT 443
/* What is longer is too long for all of its parts. */
#define ENCODED_SIZE (2 * URL_TEXT_SIZE)

static bool
is_address(const char *host, int family)
{
	struct in6_addr any;

	return inet_pton(family, host, &any) == 1;
}

static bool
is_visible(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

/* Copy the path and the query, on demand with a "/" at the path's end. */
static bool
copy_path(const char *text, struct url *url, bool final_slash)
{
	const size_t path_size = strcspn(text, "?#");
	const bool slash = path_size == 0 || (final_slash && text[path_size - 1] != '/');
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

static const char *
parse(const char *text, struct url *url, bool final_slash)
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
	if (!copy_path(text + authority_size, url, final_slash))
		return "it is too long";
	if (text[0] == '[' && !is_address(url->host, AF_INET6))
		return "the address in brackets is not IPv6";
	url->host_is_address = is_address(url->host, AF_INET) || is_address(url->host, AF_INET6);
	write_texts(url);
	return NULL;
}

const char *
url_parse(const char *text, struct url *url)
{
	char encoded[ENCODED_SIZE];
	const char *wrong = idn_encode_url(text, encoded, sizeof encoded);

	return wrong != NULL ? wrong : parse(encoded, url, true);
}

/* ---- redirects ---- */

/* Take "." and ".." out of a path, in place (RFC 3986 section 5.2.4). It begins with "/". */
static void
remove_dot_segments(char *path)
{
	const char *in = path;
	char *out = path;

	while (*in != '\0') {
		const size_t n = 1 + strcspn(in + 1, "/"); /* with the "/" before it */
		const bool last = in[n] == '\0';
		const bool dot = n == 2 && in[1] == '.';
		const bool dots = n == 3 && in[1] == '.' && in[2] == '.';

		if (dots)
			while (out > path && *--out != '/')
				;
		if (!dot && !dots) {
			memmove(out, in, n);
			out += n;
		} else if (last) {
			*out++ = '/';
		}
		in += n;
	}
	*out = '\0';
}

/* Put the path of a reference together with the base's. Returns false when it is too long. */
static bool
merge_path(const struct url *base, const struct evhttp_uri *reference, char path[URL_PATH_SIZE])
{
	const char *text = evhttp_uri_get_path(reference);
	const size_t base_size = strcspn(base->path, "?");
	size_t directory_size = base_size;
	int n;

	if (text == NULL)
		text = "";
	while (directory_size > 0 && base->path[directory_size - 1] != '/')
		directory_size--;
	if (text[0] == '/' || evhttp_uri_get_host(reference) != NULL)
		n = snprintf(path, URL_PATH_SIZE, "%s", text[0] != '\0' ? text : "/");
	else if (text[0] != '\0')
		n = snprintf(path, URL_PATH_SIZE, "%.*s%s", (int)directory_size, base->path, text);
	else
		n = snprintf(path, URL_PATH_SIZE, "%.*s", (int)base_size, base->path);
	if (n < 0 || n >= URL_PATH_SIZE || path[0] != '/')
		return false;
	remove_dot_segments(path);
	return true;
}

/* The query with its "?", or "". An empty reference keeps the base's. */
static const char *
merge_query(const struct url *base, const struct evhttp_uri *reference, char query[URL_PATH_SIZE])
{
	const char *text = evhttp_uri_get_query(reference);
	const char *path = evhttp_uri_get_path(reference);
	const char *old = strchr(base->path, '?');

	query[0] = '\0';
	if (text != NULL)
		snprintf(query, URL_PATH_SIZE, "?%s", text);
	else if (old != NULL && (path == NULL || path[0] == '\0') && evhttp_uri_get_host(reference) == NULL)
		snprintf(query, URL_PATH_SIZE, "%s", old);
	return query;
}

static const char *
resolve(const struct url *base, const struct evhttp_uri *reference, struct url *url)
{
	const char *scheme = evhttp_uri_get_scheme(reference);
	const char *host = evhttp_uri_get_host(reference);
	char authority[URL_HOST_SIZE + 8], path[URL_PATH_SIZE], query[URL_PATH_SIZE];
	char text[URL_TEXT_SIZE + URL_PATH_SIZE];
	int n;

	if (scheme != NULL && strcasecmp(scheme, base->tls ? "wss" : "ws") != 0 &&
		strcasecmp(scheme, base->tls ? "https" : "http") != 0)
		return "that is another scheme; give that URL if you trust it";
	if (scheme != NULL && host == NULL)
		return "there is no host in it";
	if (evhttp_uri_get_userinfo(reference) != NULL)
		return "a user name or password has no place in it";
	if (host == NULL)
		n = snprintf(authority, sizeof authority, "%s", base->authority);
	else if (evhttp_uri_get_port(reference) >= 0)
		n = snprintf(authority, sizeof authority, "%s:%d", host, evhttp_uri_get_port(reference));
	else
		n = snprintf(authority, sizeof authority, "%s", host);
	if (n < 0 || (size_t)n >= sizeof authority)
		return "the host name is too long";
	if (!merge_path(base, reference, path))
		return "it is too long";
	snprintf(text, sizeof text, "%s%s%s%s", base->tls ? WSS : WS, authority, path,
		merge_query(base, reference, query));
	return parse(text, url, false);
}

const char *
url_resolve(const struct url *base, const char *location, struct url *url)
{
	char encoded[ENCODED_SIZE];
	const char *wrong = idn_encode_url(location, encoded, sizeof encoded);
	struct evhttp_uri *reference = wrong == NULL ? evhttp_uri_parse(encoded) : NULL;

	if (wrong != NULL)
		return wrong;
	if (reference == NULL)
		return "that is no URL";
	wrong = resolve(base, reference, url);
	evhttp_uri_free(reference);
	return wrong;
}

bool
url_leaves_host(const struct url *base, const char *location)
{
	struct evhttp_uri *reference = evhttp_uri_parse(location);
	const char *host = reference != NULL ? evhttp_uri_get_host(reference) : NULL;
	bool leaves = false;

	if (host != NULL && host[0] != '\0' && strlen(host) < URL_HOST_SIZE) {
		const size_t brackets = host[0] == '[';
		const size_t size = strlen(host) - 2 * brackets;

		leaves = size != strlen(base->host) || strncasecmp(host + brackets, base->host, size) != 0;
	}
	if (reference != NULL)
		evhttp_uri_free(reference);
	return leaves;
}

bool
url_same_origin(const struct url *a, const struct url *b)
{
	return a->tls == b->tls && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}
