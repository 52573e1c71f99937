#include "cookies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "log.h"

/* The longest date that is read: more than any format has. */
#define DATE_SIZE 64
/* A Max-Age with more digits is a very long time all the same. */
#define AGE_SIZE 12

/* ---- attributes (RFC 6265 section 5.2) ---- */

/* Cut `t` at the first separator: returns what is before it, and leaves what is behind it. */
static struct wisp_upgrade_text
cut(struct wisp_upgrade_text *t, char separator)
{
	const char *end = t->n > 0 ? memchr(t->p, separator, t->n) : NULL;
	struct wisp_upgrade_text before = *t;

	before.n = end != NULL ? (size_t)(end - t->p) : t->n;
	t->p += before.n + (end != NULL);
	t->n -= before.n + (end != NULL);
	return wisp_upgrade_trim(before);
}

static bool
is_called(struct wisp_upgrade_text t, const char *name)
{
	return t.n == strlen(name) && strncasecmp(t.p, name, t.n) == 0;
}

/* Copy it, as much as there is room for. */
static void
copy(struct wisp_upgrade_text t, char *text, size_t size)
{
	snprintf(text, size, "%.*s", (int)(t.n < size ? t.n : size - 1), t.n > 0 ? t.p : "");
}

/* Whether a cookie with this Max-Age is over at once. */
static bool
is_spent(struct wisp_upgrade_text value)
{
	char text[AGE_SIZE];

	copy(value, text, sizeof text);
	return strtol(text, NULL, 10) <= 0;
}

/* A 32-bit time_t cannot hold some dates: such a date in a century that has not ended is in the future. */
static bool
is_over(struct tm *tm)
{
	const int year = tm->tm_year;
	const time_t moment = timegm(tm);

	return moment != (time_t)-1 ? moment <= time(NULL) : year < 100;
}

/* Whether a date is past. Servers use one of these formats; anything else is ignored. */
static bool
is_past(struct wisp_upgrade_text value)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S", "%a, %d-%b-%Y %H:%M:%S", "%A, %d-%b-%y %H:%M:%S", "%a %b %d %H:%M:%S %Y"};
	char text[DATE_SIZE];

	copy(value, text, sizeof text);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct tm tm = {0};

		if (strptime(text, forms[i], &tm) != NULL)
			return is_over(&tm);
	}
	return false;
}

/* Whether a host is in a domain (section 5.1.3). */
static bool
is_in_domain(const struct url *url, struct wisp_upgrade_text domain)
{
	const size_t n = strlen(url->host);

	if (domain.n > 0 && domain.p[0] == '.')
		domain.p++, domain.n--;
	if (domain.n == 0)
		return true; /* as if there were no such attribute */
	if (domain.n > n || strncasecmp(url->host + n - domain.n, domain.p, domain.n) != 0)
		return false;
	return domain.n == n || (!url->host_is_address && url->host[n - domain.n - 1] == '.');
}

/* What the attributes of a Set-Cookie say. */
struct attributes {
	bool over; /* it takes the cookie back */
	bool has_age;
	bool secure;
	bool foreign; /* it is for another domain */
	struct wisp_upgrade_text path;
};

static void
read_attributes(struct wisp_upgrade_text rest, const struct url *url, struct attributes *attributes)
{
	memset(attributes, 0, sizeof *attributes);
	while (rest.n > 0) {
		struct wisp_upgrade_text value = cut(&rest, ';');
		const struct wisp_upgrade_text name = cut(&value, '=');

		value = wisp_upgrade_trim(value);
		if (is_called(name, "Max-Age") && value.n > 0) {
			attributes->has_age = true;
			attributes->over = is_spent(value);
		} else if (is_called(name, "Expires") && !attributes->has_age) {
			attributes->over = is_past(value);
		} else if (is_called(name, "Domain")) {
			attributes->foreign = !is_in_domain(url, value);
		} else if (is_called(name, "Path")) {
			attributes->path = value;
		} else if (is_called(name, "Secure")) {
			attributes->secure = true;
		}
	}
}

/* ---- paths (RFC 6265 section 5.1.4) ---- */

/* The URL's path without the query. */
static struct wisp_upgrade_text
request_path(const struct url *url)
{
	return (struct wisp_upgrade_text){url->path, strcspn(url->path, "?")};
}

/* The path of a cookie that names none: the request's, without what is behind the last slash, and without that. */
static struct wisp_upgrade_text
default_path(const struct url *url)
{
	struct wisp_upgrade_text path = request_path(url);

	while (path.n > 1 && path.p[path.n - 1] != '/')
		path.n--;
	if (path.n > 1)
		path.n--;
	return path;
}

static bool
path_matches(const struct url *url, const char *path)
{
	const struct wisp_upgrade_text asked = request_path(url);
	const size_t n = strlen(path);

	if (asked.n < n || memcmp(asked.p, path, n) != 0)
		return false;
	return asked.n == n || path[n - 1] == '/' || asked.p[n] == '/';
}

/* ---- the cookies ---- */

static bool
is_of_origin(const struct cookie *cookie, const struct url *url)
{
	return cookie->tls == url->tls && cookie->port == url->port && strcasecmp(cookie->host, url->host) == 0;
}

static bool
is_same(const struct cookie *a, const struct cookie *b)
{
	return a->tls == b->tls && a->port == b->port && strcasecmp(a->host, b->host) == 0 &&
	       strcmp(a->path, b->path) == 0 && a->name_size == b->name_size &&
	       memcmp(a->pair, b->pair, a->name_size) == 0;
}

static void
forget(struct cookies *cookies, const struct cookie *cookie)
{
	for (size_t i = 0; i < cookies->count; i++) {
		if (!is_same(&cookies->items[i], cookie))
			continue;
		cookies->count--;
		memmove(&cookies->items[i], &cookies->items[i + 1], (cookies->count - i) * sizeof *cookie);
		return;
	}
}

/* Behind those whose paths are as long. */
static void
remember(struct cookies *cookies, const struct cookie *cookie)
{
	size_t i = cookies->count;

	if (cookies->count == COOKIES_MAX) {
		log_debug("%s sets more than %d cookies", cookie->host, COOKIES_MAX);
		return;
	}
	while (i > 0 && strlen(cookies->items[i - 1].path) < strlen(cookie->path))
		i--;
	memmove(&cookies->items[i + 1], &cookies->items[i], (cookies->count - i) * sizeof *cookie);
	cookies->items[i] = *cookie;
	cookies->count++;
}

/* The values become part of our request, so nothing that could end a line is let through. */
static bool
has_control_character(struct wisp_upgrade_text t)
{
	for (size_t i = 0; i < t.n; i++)
		if (((unsigned char)t.p[i] < ' ' && t.p[i] != '\t') || t.p[i] == 0x7f)
			return true;
	return false;
}

static void
take(struct cookies *cookies, const struct url *url, struct wisp_upgrade_text line)
{
	const struct wisp_upgrade_text pair = cut(&line, ';');
	struct wisp_upgrade_text value = pair, path;
	const struct wisp_upgrade_text name = cut(&value, '=');
	struct cookie cookie = {.tls = url->tls, .port = url->port};
	struct attributes attributes;

	read_attributes(line, url, &attributes);
	path = attributes.path.n > 0 && attributes.path.p[0] == '/' ? attributes.path : default_path(url);
	value = wisp_upgrade_trim(value);
	if (name.n == 0 || name.n == pair.n || has_control_character(pair) || has_control_character(path) ||
		attributes.foreign || (attributes.secure && !url->tls))
		return;
	if (name.n + 1 + value.n >= sizeof cookie.pair || path.n >= sizeof cookie.path) {
		log_debug("%s sets a cookie that is too long", url->authority);
		return;
	}
	snprintf(cookie.host, sizeof cookie.host, "%s", url->host);
	copy(path, cookie.path, sizeof cookie.path);
	cookie.name_size = name.n;
	snprintf(cookie.pair, sizeof cookie.pair, "%.*s=%.*s", (int)name.n, name.p, (int)value.n,
		value.n > 0 ? value.p : "");
	forget(cookies, &cookie);
	if (!attributes.over)
		remember(cookies, &cookie);
}

void
cookies_clear(struct cookies *cookies)
{
	cookies->count = 0;
}

void
cookies_take(struct cookies *cookies, const struct url *url, struct wisp_upgrade_text head)
{
	struct wisp_upgrade_text value;

	while (wisp_upgrade_response_header(&head, "Set-Cookie", &value))
		take(cookies, url, value);
}

size_t
cookies_write(const struct cookies *cookies, const struct url *url, char text[COOKIES_TEXT_SIZE])
{
	size_t size = 0;

	text[0] = '\0';
	for (size_t i = 0; i < cookies->count; i++) {
		const struct cookie *cookie = &cookies->items[i];

		if (is_of_origin(cookie, url) && path_matches(url, cookie->path))
			size += (size_t)snprintf(
				text + size, COOKIES_TEXT_SIZE - size, "%s%s", size > 0 ? "; " : "", cookie->pair);
	}
	return size;
}
