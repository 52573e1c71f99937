#include "reach.h"

#include <errno.h>
#include <stdlib.h>

#include <wisp/packet.h>

#include "dial.h"
#include "own.h"
#include "peer.h"
#include "policy.h"
#include "server.h"

struct reach {
	struct server *server;
	struct dial *dial;
	reach_callback *callback;
	void *arg;
	uint8_t refusal; /* of an address, by the policy; 0 for none */
};

uint8_t
reach_reason(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return WISP_REASON_REFUSED;
	case ETIMEDOUT:
		return WISP_REASON_TIMED_OUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case ENETDOWN:
		return WISP_REASON_UNREACHABLE;
	case EACCES:
	case EPERM:
		return WISP_REASON_BLOCKED;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return WISP_REASON_THROTTLED;
	default:
		return WISP_REASON_NETWORK_ERROR;
	}
}

/*
 * A refusal by the policy explains more than an address that did not answer, which explains more than an unusable
 * address.
 */
static uint8_t
reason_for(const struct reach *reach, int error)
{
	if (reach->refusal == WISP_REASON_BLOCKED || (reach->refusal != 0 && error == EACCES))
		return reach->refusal;
	return reach_reason(error);
}

static bool
note_refusal(struct reach *reach, uint8_t refusal)
{
	if (refusal != 0 && reach->refusal != WISP_REASON_BLOCKED)
		reach->refusal = refusal;
	return refusal == 0;
}

static bool
on_allow(void *arg, const struct sockaddr *address)
{
	struct reach *reach = arg;

	const struct policy *policy = &reach->server->options->policy;
	uint8_t refusal = policy_check(policy, address);

	if (refusal == 0 && !policy->allow_loopback && own_has(reach->server->own, address))
		refusal = WISP_REASON_BLOCKED;
	return note_refusal(reach, refusal);
}

/* Should the kernel not have known it before, it does now. */
static bool
on_accept(void *arg, int fd)
{
	struct reach *reach = arg;

	return note_refusal(reach, policy_check_connected(&reach->server->options->policy, fd));
}

static bool
on_done(void *arg, const struct dial_result *result)
{
	struct reach *reach = arg;
	const char *unresolved = result->lookup != RESOLVER_FOUND ? resolver_text(result->lookup) : NULL;
	const uint8_t reason = result->fd >= 0 ? 0 : reason_for(reach, result->error);
	const bool taken = reach->callback(reach->arg, result->fd, reason, unresolved);

	free(reach);
	return taken;
}

static const struct dial_callbacks dial_callbacks = {
	.allow = on_allow,
	.accept = on_accept,
	.done = on_done,
};

struct reach *
reach_start(struct peer *peer, const char *host, uint16_t port, int type, reach_callback *callback, void *arg)
{
	struct reach *reach = malloc(sizeof *reach);

	if (reach == NULL)
		return NULL;
	*reach = (struct reach){.server = peer->server, .callback = callback, .arg = arg};
	reach->dial = dial_start(&peer->server->dialer, &peer->names, host, port, type, &dial_callbacks, reach);
	if (reach->dial != NULL)
		return reach;
	free(reach);
	return NULL;
}

void
reach_outlive_peer(struct reach *reach)
{
	dial_charge(reach->dial, &reach->server->names);
}

void
reach_cancel(struct reach *reach)
{
	if (reach == NULL)
		return;
	dial_cancel(reach->dial);
	free(reach);
}
