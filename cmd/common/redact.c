#include "redact.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define HIDDEN "***"

/* The size of a scheme with its "://"; 0 when there is none. */
static size_t
scheme_size(const char *text)
{
	const size_t n = strspn(text, LETTERS DIGITS "+-.");

	return n > 0 && strncmp(text + n, "://", 3) == 0 ? n + 3 : 0;
}

/* The size of a header's name with its colon; 0 when the text is no header. */
static size_t
header_name_size(const char *text)
{
	const size_t n = strspn(text, LETTERS DIGITS "-_");

	return strspn(text, LETTERS) > 0 && text[n] == ':' && (text[n + 1] == ' ' || text[n + 1] == '\t') ? n + 1 : 0;
}

/* What stands where a port should, but is none: maybe a password whose "@HOST" was forgotten. NULL when all is well. */
static const char *
find_strange_port(const char *authority)
{
	const size_t brackets = authority[0] == '[' ? strcspn(authority, "]") : 0;
	const char *colon = authority + brackets + strcspn(authority + brackets, ":/?#");

	if (*colon != ':')
		return NULL;
	colon++;
	return colon[strspn(colon, DIGITS)] == '\0' || strchr("/?#", colon[strspn(colon, DIGITS)]) != NULL ? NULL
													   : colon;
}

const char *
redact(const char *text, char *shown, size_t size)
{
	const size_t scheme = scheme_size(text), name = header_name_size(text);
	/* A password may contain an "@" or "/" that should have been percent-encoded. */
	const char *at = strrchr(text + scheme, '@');
	const char *strange = scheme > 0 ? find_strange_port(text + scheme) : NULL;

	if (at != NULL)
		snprintf(shown, size, "%.*s" HIDDEN "%s", (int)scheme, text, at);
	else if (strange != NULL)
		snprintf(shown, size, "%.*s" HIDDEN, (int)(strange - text), text);
	else if (name > 0)
		snprintf(shown, size, "%.*s " HIDDEN, (int)name, text);
	else
		snprintf(shown, size, "%s", text);
	return shown;
}
