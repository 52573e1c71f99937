#include "usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wisp/handshake.h>

#include "header.h"
#include "log.h"
#include "ourselves.h"
#include "tunnel.h"
#include "url.h"

/* The kernel's TCP_CA_NAME_MAX: a name with its NUL. */
#define CONGESTION_SIZE 16

/* Read a host alone, as it stands in a URL. */
static const char *
parse_sni(const char *text, struct url *url)
{
	static const char wrong[] = "it must be the name of a host, or an address, with IPv6 in brackets";
	char url_text[URL_TEXT_SIZE];
	const char *rest = text[0] == '[' ? text + strcspn(text, "]") : text;

	if (strpbrk(rest, ":/?#@") != NULL || text[0] == '\0' ||
		snprintf(url_text, sizeof url_text, "wss://%s/", text) >= (int)sizeof url_text)
		return wrong;
	return url_parse(url_text, url) != NULL ? wrong : NULL;
}

const char *
usage_check_value(const struct option_spec *option, const char *text)
{
	struct url url;

	if (strcmp(option->name, "user") == 0)
		return strlen(text) > WISP_USER_MAX ? "it is too long" : NULL;
	if (strcmp(option->name, "proxy") == 0)
		return proxy_check(text);
	if (strcmp(option->name, "sni") == 0)
		return parse_sni(text, &url);
	if (strcmp(option->name, "resolve") == 0)
		return overrides_check(text);
	if (strcmp(option->name, "congestion") == 0)
		return strlen(text) >= CONGESTION_SIZE ? "no congestion control has a name that long" : NULL;
	return strcmp(option->name, "server") == 0 ? url_parse(text, &url) : NULL;
}

/* What is wrong with a header is said without its value, which may be a secret. */
static bool
check_headers(const struct program *program, const struct option_list *headers)
{
	const char *line, *wrong = headers_check(headers, &line);

	if (wrong == NULL)
		return true;
	if (strchr(line, ':') == NULL)
		options_complain(program, "--header: %s", wrong);
	else
		options_complain(program, "--header '%.*s': %s", (int)strcspn(line, ":"), line, wrong);
	return false;
}

/* A user name and a password belong together. */
static bool
check_credentials(const struct program *program, const char *password_variable, struct credentials_options *options)
{
	options->password = getenv(password_variable);
	options->variable = password_variable;
	if (options->user == NULL && options->password_file != NULL) {
		options_complain(program, "--password-file: whose password it is has to be said with --user");
		return false;
	}
	if (options->user == NULL)
		return true;
	if (options->password == NULL && options->password_file == NULL) {
		options_complain(program,
			"--user: the password is missing; give --password-file FILE, or the environment variable %s",
			password_variable);
		return false;
	}
	return true;
}

bool
usage_complete(const struct program *program, const struct usage *usage, struct tunnel_options *options)
{
	for (size_t i = 0; i < usage->servers->count; i++)
		url_parse(usage->servers->items[i], &options->servers[options->server_count++]);
	if (options->server_count == 0) {
		options_complain(program, "the server's URL is missing");
		return false;
	}
	for (size_t i = 0; i < usage->resolve->count; i++)
		overrides_add(&options->overrides, usage->resolve->items[i]);
	if (usage->sni != NULL)
		parse_sni(usage->sni, &options->sni);
	if (options->tls.cert_key != NULL && options->tls.cert == NULL) {
		options_complain(program, "--cert-key is the key of a certificate: give --cert too");
		return false;
	}
	if (!check_headers(program, &options->headers) ||
		!check_credentials(program, usage->password_variable, &options->credentials))
		return false;
	for (size_t i = 0; i < options->server_count && options->tls.insecure; i++)
		log_warning("--insecure: whoever answers at %s is taken for the server", options->servers[i].authority);
	return true;
}

/* The proxy that the user named: no circle. */
static bool
check_proxy(const struct program *program, const struct proxy *proxy, const struct endpoints *listeners)
{
	if (proxy == NULL || listeners == NULL || !ourselves_are_at(listeners, proxy->host, proxy->port))
		return true;
	options_complain(program, "--proxy: %s is a listener of %s itself; name another proxy, or none", proxy->name,
		program->name);
	return false;
}

static void
find_in_environment(const struct endpoints *listeners, struct tunnel_options *options)
{
	struct proxy_user user = {.listeners = listeners};

	for (size_t i = 0; i < options->server_count; i++) {
		user.tls |= options->servers[i].tls;
		user.plain |= !options->servers[i].tls;
	}
	proxy_settings_init_environment(&options->proxies, &user);
}

bool
usage_find_proxies(const struct program *program, const struct usage *usage, const struct endpoints *listeners,
	struct tunnel_options *options)
{
	if (usage->proxy == NULL)
		find_in_environment(listeners, options);
	unsetenv("http_proxy");
	unsetenv("socks_proxy");
	if (usage->proxy == NULL)
		return true;
	if (!proxy_settings_init(&options->proxies, usage->proxy)) {
		log_error("out of memory");
		return false;
	}
	return check_proxy(program, options->proxies.tls, listeners);
}
