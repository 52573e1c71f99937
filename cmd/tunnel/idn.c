#include "idn.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-._"

static bool
is_ascii(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

/* The host in a URL; NULL when there is none. */
static const char *
find_host(const char *url, size_t *n)
{
	const char *scheme_end = strstr(url, "://");
	const char *host = scheme_end != NULL ? scheme_end + strlen("://") : NULL;
	size_t size;

	if (host == NULL)
		return NULL;
	size = strcspn(host, "/?#");
	for (size_t i = size; i > 0; i--)
		if (host[i - 1] == '@') {
			host += i;
			size -= i;
			break;
		}
	*n = host[0] == '[' ? size : strcspn(host, ":/?#");
	return host;
}

/* Returns NULL, or what is wrong; *ascii is to be freed by idn2_free(). */
static const char *
encode(const char *host, size_t n, char **ascii)
{
	char *copy = strndup(host, n);
	int result;

	if (copy == NULL)
		return "out of memory";
	result = idn2_to_ascii_8z(copy, ascii, IDN2_NONTRANSITIONAL);
	free(copy);
	/* Other slashes, for one, become what ends a host. The library's own flag for that drops them. */
	if (result == IDN2_OK && (*ascii)[strspn(*ascii, HOST_CHARACTERS)] == '\0')
		return NULL;
	return result == IDN2_MALLOC ? "out of memory" : "the host is not a valid internationalized name";
}

const char *
idn_encode_url(const char *url, char *encoded, size_t size)
{
	size_t host_size = 0;
	const char *host = find_host(url, &host_size);
	char *ascii = NULL;
	const char *wrong = NULL;
	int n;

	if (host == NULL || is_ascii(host, host_size)) {
		n = snprintf(encoded, size, "%s", url);
	} else {
		wrong = encode(host, host_size, &ascii);
		n = wrong != NULL
			    ? 0
			    : snprintf(encoded, size, "%.*s%s%s", (int)(host - url), url, ascii, host + host_size);
		idn2_free(ascii);
	}
	if (wrong == NULL && (n < 0 || (size_t)n >= size))
		wrong = "it is too long";
	return wrong;
}
