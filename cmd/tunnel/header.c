#include "header.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WEBSOCKET_PREFIX "Sec-WebSocket-"

struct header {
	const char *name;
	size_t name_size;
	const char *value; /* without white space around it */
	size_t value_size;
};

/* What is not allowed in a token (RFC 9110 section 5.6.2). */
static bool
is_token(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", p[i]) != NULL)
			return false;
	return n > 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
split(const char *line, struct header *header)
{
	const char *colon = strchr(line, ':');

	if (colon == NULL)
		return false;
	header->name = line;
	header->name_size = (size_t)(colon - line);
	header->value = colon + 1;
	while (is_blank(*header->value))
		header->value++;
	header->value_size = strlen(header->value);
	while (header->value_size > 0 && is_blank(header->value[header->value_size - 1]))
		header->value_size--;
	return true;
}

static bool
is_named(const struct header *header, const char *name)
{
	return header->name_size == strlen(name) && strncasecmp(header->name, name, header->name_size) == 0;
}

/* Whether the handshake sets it, or it would announce a body that never comes. */
static bool
is_ours(const struct header *header)
{
	static const char *const names[] = {
		"Upgrade", "Connection", "Pragma", "Cache-Control", "Content-Length", "Transfer-Encoding"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (is_named(header, names[i]))
			return true;
	return header->name_size >= strlen(WEBSOCKET_PREFIX) &&
	       strncasecmp(header->name, WEBSOCKET_PREFIX, strlen(WEBSOCKET_PREFIX)) == 0;
}

static bool
has_control_character(const struct header *header)
{
	for (size_t i = 0; i < header->value_size; i++) {
		const unsigned char c = (unsigned char)header->value[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

static const char *
check_host(const struct header *header)
{
	if (header->value_size == 0 || header->value_size >= HEADER_HOST_SIZE)
		return "a host is too long, or empty";
	for (size_t i = 0; i < header->value_size; i++)
		if (header->value[i] <= ' ' || header->value[i] >= 0x7f)
			return "a host has no such characters";
	return NULL;
}

static const char *
check(const char *line)
{
	struct header header;

	if (!split(line, &header))
		return "it must be 'Name: value'";
	if (!is_token(header.name, header.name_size))
		return "the name has a character that it must not have";
	if (has_control_character(&header))
		return "there is a control character in the value";
	if (is_ours(&header))
		return "the WebSocket's handshake sets this one itself";
	return is_named(&header, "Host") ? check_host(&header) : NULL;
}

const char *
headers_check(const struct option_list *lines, const char **wrong)
{
	size_t size = 0, hosts = 0;

	for (size_t i = 0; i < lines->count; i++) {
		const char *what;
		struct header header;

		*wrong = lines->items[i];
		what = check(*wrong);
		if (what != NULL)
			return what;
		size += strlen(*wrong) + strlen("\r\n");
		if (size > HEADERS_SIZE_MAX)
			return "all together they are too long for a request";
		if (split(*wrong, &header) && is_named(&header, "Host") && ++hosts > 1)
			return "there can be only one Host";
	}
	return NULL;
}

bool
headers_host(const struct option_list *lines, char host[HEADER_HOST_SIZE])
{
	struct header header;

	for (size_t i = 0; i < lines->count; i++) {
		if (!split(lines->items[i], &header) || !is_named(&header, "Host"))
			continue;
		snprintf(host, HEADER_HOST_SIZE, "%.*s", (int)header.value_size, header.value);
		return true;
	}
	return false;
}

size_t
headers_write(const struct option_list *lines, const char *cookies, char *p, size_t n)
{
	size_t size = 0;

	for (size_t i = 0; lines != NULL && i < lines->count; i++) {
		const char *more = "";
		struct header header;

		if (!split(lines->items[i], &header) || is_named(&header, "Host"))
			continue;
		if (is_named(&header, "Cookie")) {
			more = cookies;
			cookies = "";
		}
		size += (size_t)snprintf(size < n ? p + size : NULL, size < n ? n - size : 0, "%.*s: %.*s%s%s\r\n",
			(int)header.name_size, header.name, (int)header.value_size, header.value,
			more[0] != '\0' && header.value_size > 0 ? "; " : "", more);
	}
	if (cookies[0] != '\0')
		size += (size_t)snprintf(
			size < n ? p + size : NULL, size < n ? n - size : 0, "Cookie: %s\r\n", cookies);
	return size;
}
