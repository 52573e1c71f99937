/* Which proxy leads to which server: what the user said, or the environment. */
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
	PROXY_SOCKS5,  /* it is given an address: the server's name is looked up here */
	PROXY_SOCKS5H, /* it looks the name up */
};

struct proxy {
	enum proxy_kind kind;
	const char *scheme; /* of its URL */
	const char *origin; /* where it was named: "--proxy", or the environment's variable */
	char host[256];     /* without brackets */
	uint16_t port;
	char name[ADDRESS_JOINED_SIZE]; /* host and port, for the log */
	bool has_credentials;
	/* Not for the log! */
	char user[PROXY_CREDENTIALS_MAX + 1];
	char password[PROXY_CREDENTIALS_MAX + 1];
};

/* What the environment has: http_proxy, https_proxy and all_proxy, the latter two in capitals as well. */
#define PROXY_VARIABLES 5

struct proxy_settings {
	const struct proxy *plain; /* for ws; NULL for none */
	const struct proxy *tls;   /* for wss */
	const char *exceptions;    /* no_proxy's list */
	struct proxy storage[PROXY_VARIABLES];
};

/* Who asks for a proxy. */
struct proxy_user {
	bool plain, tls; /* whether there are servers of ws and of wss */
	/* Where programs come in, which is no way out: a proxy of the environment is not used if it is one of these.
	 * NULL for none. */
	const struct endpoints *listeners;
};

/* What is wrong with the URL of a proxy, or NULL. It may hold a password: it is not to be repeated. "" is for none. */
const char *proxy_check(const char *text);

/*
 * Read `option`, in which nothing is wrong; "" is for no proxy. The environment, no_proxy too, has no say then. Returns
 * false without memory.
 */
bool proxy_settings_init(struct proxy_settings *settings, const char *option);

/* Read the environment. A variable that is not used for its value is logged, and the next one counts. */
void proxy_settings_init_environment(struct proxy_settings *settings, const struct proxy_user *user);

/* The proxy that leads to this server; NULL for none. */
const struct proxy *proxy_for(const struct proxy_settings *settings, const struct url *url);

#endif
