/* Which HTTP proxy leads to which server: what the user said, or the environment. */
#ifndef PROXY_H
#define PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"

struct url;

/* The user name and the password together, with the colon between them. */
#define PROXY_CREDENTIALS_MAX 512

struct proxy {
	char host[256]; /* without brackets */
	uint16_t port;
	char name[ADDRESS_JOINED_SIZE];                            /* host and port, for the log */
	char credentials[4 * (PROXY_CREDENTIALS_MAX / 3 + 1) + 1]; /* in base64; "" for none. Not for the log! */
};

struct proxy_settings {
	const struct proxy *plain; /* for ws; NULL for none */
	const struct proxy *tls;   /* for wss */
	const char *exceptions;    /* no_proxy's list */
	struct proxy storage[2];
};

/* What is wrong with the URL of a proxy, or NULL. It may hold a password: it is not to be repeated. "" is for none. */
const char *proxy_check(const char *text);

/*
 * Read the environment, or `option`, which wins over all of it, if it is not NULL, and in which nothing is wrong; "" is
 * for no proxy. What is wrong with the environment is not used. Returns
 * false without memory.
 */
bool proxy_settings_init(struct proxy_settings *settings, const char *option);

/* The proxy that leads to this server; NULL for none. */
const struct proxy *proxy_for(const struct proxy_settings *settings, const struct url *url);

#endif
