/*
 * The cookies that redirects have set, for the next requests of the same attempt to the same origin: load balancers
 * that keep a client with one of their servers count on them (RFC 6265). A route owns them; no cookie outlives its
 * attempt.
 */
#ifndef COOKIES_H
#define COOKIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/upgrade.h>

#include "url.h"

/* More cookies, and larger ones, are passed over. */
#define COOKIES_MAX 8
#define COOKIE_SIZE 1024
#define COOKIE_PATH_SIZE 256
/* What cookies_write() writes at the most, with the final NUL. */
#define COOKIES_TEXT_SIZE (COOKIES_MAX * (COOKIE_SIZE + 1))

struct cookie {
	/* Who has set it. A browser would show some of them to other hosts of a domain; here they stay with the origin.
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

/* Take what the answer to a request for this URL sets, or takes back. */
void cookies_take(struct cookies *cookies, const struct url *url, struct wisp_upgrade_text head);

/* Write the value of a Cookie header for a request for this URL: "" when there is nothing to say. Returns its length.
 */
size_t cookies_write(const struct cookies *cookies, const struct url *url, char text[COOKIES_TEXT_SIZE]);

#endif
