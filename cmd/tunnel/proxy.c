#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>
#include <openssl/crypto.h>

#include <wisp/socks4.h>
#include <wisp/socks5.h>

#include "idn.h"
#include "log.h"
#include "no_proxy.h"
#include "ourselves.h"
#include "url.h"

#define OPTION_NAME "--proxy"
/* With the longest user and password, each byte of them escaped. */
#define URL_SIZE 4096

static const struct scheme {
	const char *name;
	enum proxy_kind kind;
	uint16_t port; /* the usual one */
} schemes[] = {
	{"http", PROXY_HTTP, 80},
	{"socks5", PROXY_SOCKS5, 1080},
	{"socks5h", PROXY_SOCKS5H, 1080},
	{"socks4a", PROXY_SOCKS4A, 1080},
};

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

/* What is wrong with the credentials for this kind of proxy, or NULL. */
static const char *
check_credentials(const struct proxy *proxy, bool has_password)
{
	const size_t user_size = strlen(proxy->user), password_size = strlen(proxy->password);

	switch (proxy->kind) {
	case PROXY_HTTP: /* RFC 7617 */
		if (strchr(proxy->user, ':') != NULL)
			return "the user name has a colon in it";
		return user_size + 1 + password_size > PROXY_CREDENTIALS_MAX ? "the password is too long" : NULL;
	case PROXY_SOCKS4A:
		if (has_password)
			return "SOCKS4 has no passwords: leave it out, or use socks5h://";
		return user_size > WISP_SOCKS4_TEXT_MAX ? "the user name is too long" : NULL;
	case PROXY_SOCKS5:
	case PROXY_SOCKS5H: /* RFC 1929 */
		if (user_size == 0 || user_size > WISP_SOCKS5_TEXT_MAX || password_size > WISP_SOCKS5_TEXT_MAX)
			return "SOCKS5 has user names of 1 to 255 bytes, and passwords of 255 bytes at the most";
		return NULL;
	}
	return NULL;
}

static const char *
set_credentials(struct proxy *proxy, const char *userinfo)
{
	const size_t user_size = strcspn(userinfo, ":");
	const bool has_password = userinfo[user_size] == ':';
	const char *password = has_password ? userinfo + user_size + 1 : "";

	if (decode(userinfo, user_size, proxy->user, sizeof proxy->user) < 0)
		return "the user name is too long, or not written as in a URL";
	if (decode(password, strlen(password), proxy->password, sizeof proxy->password) < 0)
		return "the password is too long, or not written as in a URL";
	proxy->has_credentials = true;
	return check_credentials(proxy, has_password);
}

static const struct scheme *
find_scheme(const char *name)
{
	for (size_t i = 0; name != NULL && i < sizeof schemes / sizeof *schemes; i++)
		if (strcasecmp(name, schemes[i].name) == 0)
			return &schemes[i];
	return NULL;
}

static const char *
read_parts(const struct evhttp_uri *uri, struct proxy *proxy)
{
	const struct scheme *scheme = find_scheme(evhttp_uri_get_scheme(uri));
	const char *host = evhttp_uri_get_host(uri);
	const char *path = evhttp_uri_get_path(uri);
	const char *userinfo = evhttp_uri_get_userinfo(uri);
	const int port = evhttp_uri_get_port(uri);

	if (scheme == NULL)
		return "a proxy's URL begins with http://, socks5://, socks5h:// or socks4a://";
	if (host == NULL || host[0] == '\0' || port == 0 || port > UINT16_MAX)
		return "it must name a host, and a port only from 1 to 65535";
	if ((path != NULL && path[0] != '\0' && strcmp(path, "/") != 0) || evhttp_uri_get_query(uri) != NULL)
		return "there is a path in it";
	proxy->kind = scheme->kind;
	proxy->scheme = scheme->name;
	proxy->port = port > 0 ? (uint16_t)port : scheme->port;
	if (!address_split(host, strlen(host), proxy->host, sizeof proxy->host, &proxy->port))
		return "the host name is too long";
	address_join(proxy->host, proxy->port, proxy->name);
	return userinfo != NULL ? set_credentials(proxy, userinfo) : NULL;
}

/* Read SCHEME://[user:password@]host[:port]. */
static const char *
parse(const char *text, const char *origin, struct proxy *proxy)
{
	char encoded[URL_SIZE];
	const char *wrong = idn_encode_url(text, encoded, sizeof encoded);
	struct evhttp_uri *uri = wrong == NULL ? evhttp_uri_parse(encoded) : NULL;

	memset(proxy, 0, sizeof *proxy);
	OPENSSL_cleanse(encoded, sizeof encoded);
	if (wrong != NULL)
		return wrong;
	if (uri == NULL)
		return "it must be SCHEME://[USER:PASSWORD@]HOST[:PORT], with %XX for special characters";
	wrong = read_parts(uri, proxy);
	evhttp_uri_free(uri);
	proxy->origin = origin;
	return wrong;
}

const char *
proxy_check(const char *text)
{
	struct proxy proxy;

	return text[0] != '\0' ? parse(text, OPTION_NAME, &proxy) : NULL;
}

bool
proxy_settings_init(struct proxy_settings *settings, const char *option)
{
	memset(settings, 0, sizeof *settings);
	if (option[0] == '\0')
		return true;
	settings->plain = settings->tls = &settings->storage[0];
	return parse(option, OPTION_NAME, &settings->storage[0]) == NULL;
}

/* ---- the environment ---- */

/*
 * In the order in which they count. HTTP_PROXY is not among them: in a CGI program's environment, a client decides what
 * it says.
 */
static const struct variable {
	const char *name;
	bool plain, tls; /* whether it is for servers of ws, and of wss */
} variables[PROXY_VARIABLES] = {
	{"http_proxy", true, false},
	{"https_proxy", false, true},
	{"HTTPS_PROXY", false, true},
	{"all_proxy", true, true},
	{"ALL_PROXY", true, true},
};

static const char *
environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Read a proxy as it stands in the environment, where "host:port" is usual, too, and socks:// is what GNOME writes. */
static const char *
parse_variable(const char *name, const char *value, struct proxy *proxy)
{
	static const char any_socks[] = "socks://";
	const bool is_socks = strncasecmp(value, any_socks, strlen(any_socks)) == 0;
	const char *scheme = is_socks ? "socks5h://" : strstr(value, "://") == NULL ? "http://" : "";
	char text[4096];
	const int n = snprintf(text, sizeof text, "%s%s", scheme, is_socks ? value + strlen(any_socks) : value);

	return n > 0 && (size_t)n < sizeof text ? parse(text, name, proxy) : "it is too long";
}

/* Whether a variable names a proxy that can be used. Says why, if it does not. */
static bool
read_variable(const char *name, struct proxy *proxy, const struct endpoints *listeners)
{
	const char *value = environment(name);
	const char *wrong = value != NULL ? parse_variable(name, value, proxy) : NULL;

	if (value == NULL)
		return false;
	if (wrong != NULL) {
		log_warning("the proxy in %s is not used: %s", name, wrong);
		return false;
	}
	if (listeners != NULL && ourselves_are_at(listeners, proxy->host, proxy->port)) {
		log_info("the proxy in %s is not used: %s is our own listener", name, proxy->name);
		return false;
	}
	return true;
}

void
proxy_settings_init_environment(struct proxy_settings *settings, const struct proxy_user *user)
{
	memset(settings, 0, sizeof *settings);
	settings->exceptions = environment("no_proxy");
	if (settings->exceptions == NULL)
		settings->exceptions = environment("NO_PROXY");
	/* Each is read once, so that what is wrong with it is said once. */
	for (size_t i = 0; i < PROXY_VARIABLES; i++) {
		const bool plain = variables[i].plain && user->plain && settings->plain == NULL;
		const bool tls = variables[i].tls && user->tls && settings->tls == NULL;
		struct proxy *proxy = &settings->storage[i];

		if (!(plain || tls) || !read_variable(variables[i].name, proxy, user->listeners))
			continue;
		settings->plain = plain ? proxy : settings->plain;
		settings->tls = tls ? proxy : settings->tls;
	}
}

const struct proxy *
proxy_for(const struct proxy_settings *settings, const struct url *url)
{
	if (settings->exceptions != NULL && no_proxy_has(settings->exceptions, url->host))
		return NULL;
	return url->tls ? settings->tls : settings->plain;
}
