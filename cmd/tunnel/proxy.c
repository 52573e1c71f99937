#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>
#include <openssl/evp.h>

#include "log.h"
#include "no_proxy.h"
#include "url.h"

#define SCHEME "http"
#define DEFAULT_PORT 80

/* Take the percent signs out of a part. Returns its size, or -1. */
static int
decode(const char *text, size_t n, char *decoded, size_t size)
{
	char copy[3 * PROXY_CREDENTIALS_MAX + 1];
	size_t decoded_size = 0;
	char *whole;
	int result = -1;

	if (n >= sizeof copy)
		return -1;
	memcpy(copy, text, n);
	copy[n] = '\0';
	whole = evhttp_uridecode(copy, 0, &decoded_size);
	if (whole != NULL && decoded_size < size && strlen(whole) == decoded_size) {
		memcpy(decoded, whole, decoded_size + 1);
		result = (int)decoded_size;
	}
	free(whole);
	return result;
}

/* "user:password", for Basic authentication (RFC 7617). */
static const char *
set_credentials(struct proxy *proxy, const char *userinfo)
{
	char both[PROXY_CREDENTIALS_MAX + 1];
	const size_t user_size = strcspn(userinfo, ":");
	const char *password = userinfo[user_size] == ':' ? userinfo + user_size + 1 : "";
	int n = decode(userinfo, user_size, both, sizeof both);
	int more;

	if (n < 0 || n + 1 >= (int)sizeof both)
		return "the user name is too long, or not written as in a URL";
	if (memchr(both, ':', (size_t)n) != NULL)
		return "the user name has a colon in it";
	both[n++] = ':';
	more = decode(password, strlen(password), both + n, sizeof both - (size_t)n);
	if (more < 0)
		return "the password is too long, or not written as in a URL";
	EVP_EncodeBlock((unsigned char *)proxy->credentials, (const unsigned char *)both, n + more);
	return NULL;
}

static const char *
read_parts(const struct evhttp_uri *uri, struct proxy *proxy)
{
	const char *scheme = evhttp_uri_get_scheme(uri);
	const char *host = evhttp_uri_get_host(uri);
	const char *path = evhttp_uri_get_path(uri);
	const char *userinfo = evhttp_uri_get_userinfo(uri);
	const int port = evhttp_uri_get_port(uri);

	if (scheme == NULL || strcasecmp(scheme, SCHEME) != 0)
		return "only http:// proxies can be used";
	if (host == NULL || host[0] == '\0' || port == 0 || port > UINT16_MAX)
		return "it must name a host, and a port only from 1 to 65535";
	if ((path != NULL && path[0] != '\0' && strcmp(path, "/") != 0) || evhttp_uri_get_query(uri) != NULL)
		return "there is a path in it";
	proxy->port = port > 0 ? (uint16_t)port : DEFAULT_PORT;
	if (!address_split(host, strlen(host), proxy->host, sizeof proxy->host, &proxy->port))
		return "the host name is too long";
	address_join(proxy->host, proxy->port, proxy->name);
	return userinfo != NULL ? set_credentials(proxy, userinfo) : NULL;
}

/* Read http://[user:password@]host[:port]. */
static const char *
parse(const char *text, struct proxy *proxy)
{
	struct evhttp_uri *uri = evhttp_uri_parse(text);
	const char *wrong;

	memset(proxy, 0, sizeof *proxy);
	if (uri == NULL)
		return "it must be http://[USER:PASSWORD@]HOST[:PORT], with %XX for special characters";
	wrong = read_parts(uri, proxy);
	evhttp_uri_free(uri);
	return wrong;
}

static const char *
environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The proxy that the first of these variables names which names one; NULL for none. */
static const struct proxy *
from_environment(const char *const *names, struct proxy *proxy)
{
	for (; *names != NULL; names++) {
		const char *value = environment(*names);
		char with_scheme[1024];
		const char *wrong = "it is too long";
		int n;

		if (value == NULL)
			continue;
		/* "host:port" is usual there, too. */
		n = snprintf(with_scheme, sizeof with_scheme, "%s%s", strstr(value, "://") == NULL ? SCHEME "://" : "",
			value);
		if (n > 0 && (size_t)n < sizeof with_scheme)
			wrong = parse(with_scheme, proxy);
		if (wrong == NULL)
			return proxy;
		log_debug("%s is not used: %s", *names, wrong);
	}
	return NULL;
}

const char *
proxy_check(const char *text)
{
	struct proxy proxy;

	return text[0] != '\0' ? parse(text, &proxy) : NULL;
}

bool
proxy_settings_init(struct proxy_settings *settings, const char *option)
{
	/* HTTP_PROXY is not among them: in a CGI program's environment, a client decides what it says. */
	static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
	static const char *const tls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};

	memset(settings, 0, sizeof *settings);
	if (option == NULL) {
		settings->plain = from_environment(plain, &settings->storage[0]);
		settings->tls = from_environment(tls, &settings->storage[1]);
		settings->exceptions = environment("no_proxy");
		if (settings->exceptions == NULL)
			settings->exceptions = environment("NO_PROXY");
	} else if (option[0] != '\0') {
		settings->plain = settings->tls = &settings->storage[0];
		return parse(option, &settings->storage[0]) == NULL;
	}
	return true;
}

const struct proxy *
proxy_for(const struct proxy_settings *settings, const struct url *url)
{
	if (settings->exceptions != NULL && no_proxy_has(settings->exceptions, url->host))
		return NULL;
	return url->tls ? settings->tls : settings->plain;
}
