/*
 * Cookies that redirects have set (RFC 6265). They are sent with the next requests to the same origin: load balancers
 * use them to keep a client with one of their servers. A route owns them; no cookie outlives the attempt to connect.
 */
#ifndef COOKIES_H
#define COOKIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/upgrade.h>

#include "url.h"

/* More cookies, and larger ones, are ignored. */
#define COOKIES_MAX 8
#define COOKIE_SIZE 1024
#define COOKIE_PATH_SIZE 256
/* The longest text that cookies_write() writes, with the final NUL. */
#define COOKIES_TEXT_SIZE (COOKIES_MAX * (COOKIE_SIZE + 1))

struct cookie {
	/*
	 * The origin that set it. A browser would send some cookies to other hosts of a domain; here each goes to its
	 * origin only.
	 */
	bool tls;
	uint16_t port;
	char host[URL_HOST_SIZE];
	char path[COOKIE_PATH_SIZE];
	char pair[COOKIE_SIZE]; /* as the request has it: name=value */
	size_t name_size;
};

struct cookies {
	struct cookie items[COOKIES_MAX]; /* in the order in which a request has them: the longest paths first */
	size_t count;
};

void cookies_clear(struct cookies *cookies);

/* Take the cookies that the answer to a request for this URL sets or deletes. */
void cookies_take(struct cookies *cookies, const struct url *url, struct wisp_upgrade_text head);

/* Write the value of the Cookie header for a request for this URL; "" when there are no cookies. Returns its length. */
size_t cookies_write(const struct cookies *cookies, const struct url *url, char text[COOKIES_TEXT_SIZE]);

#endif
