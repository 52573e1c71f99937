/* Which proxy leads to which server, from --proxy or the environment. */
#ifndef PROXY_H
#define PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

struct endpoints;
struct url;

/* The user name and the password together, with the colon between them. */
#define PROXY_CREDENTIALS_MAX 512

enum proxy_kind {
	PROXY_HTTP,
	PROXY_SOCKS4A,
	PROXY_SOCKS5,  /* the server's name is looked up here, and the proxy is given an address */
	PROXY_SOCKS5H, /* the proxy looks the server's name up */
};

struct proxy {
	enum proxy_kind kind;
	const char *scheme; /* of its URL */
	const char *origin; /* where it was set: "--proxy", or an environment variable */
	char host[256];     /* without brackets */
	uint16_t port;
	char name[ADDRESS_JOINED_SIZE]; /* host and port, for the log */
	bool has_credentials;
	/* Not for the log! */
	char user[PROXY_CREDENTIALS_MAX + 1];
	char password[PROXY_CREDENTIALS_MAX + 1];
};

/* The environment's variables: http_proxy, https_proxy and all_proxy, and the last two in capitals. */
#define PROXY_VARIABLES 5

struct proxy_settings {
	const struct proxy *plain; /* for ws; NULL for none */
	const struct proxy *tls;   /* for wss */
	const char *exceptions;    /* no_proxy's list */
	struct proxy storage[PROXY_VARIABLES];
};

/* Who asks for a proxy. */
struct proxy_user {
	bool plain, tls; /* whether there are ws and wss servers */
	/* Our own listeners: a proxy from the environment that is one of them is not used. NULL for none. */
	const struct endpoints *listeners;
};

/*
 * Check the URL of a proxy; "" means no proxy. Returns what is wrong, or NULL. Do not quote the URL: it may contain a
 * password.
 */
const char *proxy_check(const char *text);

/*
 * Take the proxy from `option`, which must be valid; "" means no proxy. The environment is ignored, no_proxy too.
 * Returns false without memory.
 */
bool proxy_settings_init(struct proxy_settings *settings, const char *option);

/* Take the proxies from the environment. A variable whose value cannot be used is logged and skipped. */
void proxy_settings_init_environment(struct proxy_settings *settings, const struct proxy_user *user);

/* The proxy that leads to this server; NULL for none. */
const struct proxy *proxy_for(const struct proxy_settings *settings, const struct url *url);

#endif
