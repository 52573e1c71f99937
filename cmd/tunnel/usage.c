#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include <wisp/handshake.h>

#include "header.h"
#include "log.h"
#include "tunnel.h"
#include "url.h"

const char *
usage_check_value(const struct option_spec *option, const char *text)
{
	struct url url;

	if (strcmp(option->name, "user") == 0)
		return strlen(text) > WISP_USER_MAX ? "it is too long" : NULL;
	if (strcmp(option->name, "proxy") == 0)
		return proxy_check(text);
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
	if (!proxy_settings_init(&options->proxies, usage->proxy)) {
		log_error("out of memory");
		return false;
	}
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

void
usage_hide_proxies(void)
{
	unsetenv("http_proxy");
	unsetenv("socks_proxy");
}
