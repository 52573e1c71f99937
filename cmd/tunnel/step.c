#include "step.h"

#include <stdarg.h>
#include <stdio.h>

#include <netdb.h>

#include <wisp/session.h>

#include "address.h"
#include "addresses.h"
#include "proxy.h"

/* More addresses than these are counted only. */
#define ADDRESSES_SHOWN 4

const char *
step_name(enum step step)
{
	static const char *const names[] = {
		[STEP_NAME] = "name",
		[STEP_TCP] = "TCP",
		[STEP_PROXY] = "proxy",
		[STEP_TLS] = "TLS",
		[STEP_UPGRADE] = "upgrade",
		[STEP_WISP] = "Wisp",
	};

	return names[step];
}

enum step
step_of(enum connection_state state, bool tls)
{
	switch (state) {
	case CONNECTION_PROXY:
		return STEP_PROXY;
	case CONNECTION_UPGRADE:
		return tls ? STEP_TLS : STEP_UPGRADE;
	case CONNECTION_ANSWER:
	case CONNECTION_REDIRECTED:
	case CONNECTION_NONE: /* after a redirect, which leads nowhere */
		return STEP_UPGRADE;
	case CONNECTION_OPEN:
		return STEP_WISP;
	case CONNECTION_TCP:
		break;
	}
	return STEP_TCP;
}

/* Append to the *n characters of a text; what does not fit is left out. */
static void __attribute__((format(printf, 3, 4)))
append_text(char text[STEP_TEXT_SIZE], size_t *n, const char *format, ...)
{
	va_list args;
	int added;

	va_start(args, format);
	added = vsnprintf(text + *n, STEP_TEXT_SIZE - *n, format, args);
	va_end(args);
	if (added > 0)
		*n = *n + (size_t)added < STEP_TEXT_SIZE ? *n + (size_t)added : STEP_TEXT_SIZE - 1;
}

void
step_report_name(const struct step_watcher *watcher, const char *host, const struct addresses *found)
{
	char text[STEP_TEXT_SIZE], address[NI_MAXHOST];
	size_t n = 0;

	if (watcher->step == NULL)
		return;
	append_text(text, &n, "%s:", host);
	for (size_t i = 0; i < found->count && i < ADDRESSES_SHOWN; i++)
		if (getnameinfo((const struct sockaddr *)&found->items[i].storage, found->items[i].size, address,
			    sizeof address, NULL, 0, NI_NUMERICHOST) == 0)
			append_text(text, &n, "%s %s", i > 0 ? "," : "", address);
	if (found->count > ADDRESSES_SHOWN)
		append_text(text, &n, " and %zu more", found->count - ADDRESSES_SHOWN);
	watcher->step(watcher->arg, STEP_NAME, true, text);
}

/* The address that is connected to. */
static const char *
format_peer(const struct connection *connection, char text[ADDRESS_TEXT_SIZE])
{
	address_format((const struct sockaddr *)&connection->request.address->storage, text);
	return text;
}

static void
describe_connection(enum step step, const struct connection *connection, char text[STEP_TEXT_SIZE])
{
	const struct connection_request *request = &connection->request;
	char address[ADDRESS_TEXT_SIZE];
	size_t n = 0;

	switch (step) {
	case STEP_TCP:
		append_text(text, &n, "connected to %s%s", request->proxy != NULL ? "the proxy at " : "",
			format_peer(connection, address));
		break;
	case STEP_PROXY:
		append_text(text, &n, "%s has opened the way", request->proxy->name);
		break;
	case STEP_TLS:
		append_text(text, &n, "%s, %s", connection_tls_version(connection),
			connection->tls.options->insecure ? "certificate not verified (--insecure)"
							  : "certificate verified");
		break;
	case STEP_UPGRADE:
		append_text(text, &n, "HTTP %u%s", connection->answer.status,
			connection->state == CONNECTION_REDIRECTED ? ", a redirect" : "");
		break;
	case STEP_NAME:
	case STEP_WISP:
		text[0] = '\0';
		break;
	}
}

/* That the request is written is no step of its own. */
void
step_report_connection(
	const struct step_watcher *watcher, const struct connection *connection, enum connection_state from)
{
	const bool tls = connection->request.url->tls;
	const enum step step = step_of(from, tls);
	char text[STEP_TEXT_SIZE];

	if (watcher->step == NULL || (from == CONNECTION_UPGRADE && !tls))
		return;
	describe_connection(step, connection, text);
	watcher->step(watcher->arg, step, true, text);
}

void
step_report_wisp(const struct step_watcher *watcher, const struct wisp_session *session)
{
	const struct wisp_handshake *handshake = wisp_session_handshake(session);
	char text[STEP_TEXT_SIZE];

	if (watcher->step == NULL)
		return;
	snprintf(text, sizeof text, "v%u, %s, %s", wisp_session_version(session), handshake->udp ? "UDP" : "no UDP",
		handshake->confirmation ? "confirms streams" : "does not confirm streams");
	watcher->step(watcher->arg, STEP_WISP, true, text);
}

void
step_report_failure(
	const struct step_watcher *watcher, enum step step, const struct connection *connection, const char *reason)
{
	char address[ADDRESS_TEXT_SIZE], text[STEP_TEXT_SIZE];

	if (watcher->step == NULL)
		return;
	if (step == STEP_TCP && connection->request.address != NULL)
		snprintf(text, sizeof text, "%s: %s", format_peer(connection, address), reason);
	else
		snprintf(text, sizeof text, "%s", reason);
	watcher->step(watcher->arg, step, false, text);
}
