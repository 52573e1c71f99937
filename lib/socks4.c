#include <wisp/socks4.h>

#include <string.h>

#include "bytes.h"

#define COMMAND_CONNECT 1
#define HEADER_SIZE 8

/* Append a text with its NUL. Returns the new size. */
static size_t
append_text(uint8_t *p, size_t used, const char *text)
{
	const size_t size = strlen(text) + 1;

	memcpy(p + used, text, size);
	return used + size;
}

size_t
wisp_socks4_request_encode(uint8_t p[WISP_SOCKS4_REQUEST_MAX], const struct wisp_socks4_request *request)
{
	/* An address that cannot be says that a name follows. */
	static const uint8_t name_follows[4] = {0, 0, 0, 1};
	size_t size = HEADER_SIZE;

	if (strlen(request->user) > WISP_SOCKS4_TEXT_MAX ||
		(request->name != NULL && strlen(request->name) > WISP_SOCKS4_TEXT_MAX))
		return 0;
	p[0] = WISP_SOCKS4_VERSION;
	p[1] = COMMAND_CONNECT;
	store_be16(p + 2, request->port);
	memcpy(p + 4, request->name != NULL ? name_follows : request->ipv4, sizeof name_follows);
	size = append_text(p, size, request->user);
	return request->name != NULL ? append_text(p, size, request->name) : size;
}

enum wisp_socks4_result
wisp_socks4_reply_decode(const uint8_t *p, size_t n, uint8_t *reply)
{
	if (n > 0 && p[0] != 0)
		return WISP_SOCKS4_INVALID;
	if (n < WISP_SOCKS4_REPLY_SIZE)
		return WISP_SOCKS4_MORE;
	*reply = p[1];
	return WISP_SOCKS4_OK;
}
