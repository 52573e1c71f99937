#include "learn.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "clock.h"
#include "probe.h"
#include "reply.h"
#include "target.h"

#define VERSION_2 2
#define INFO_HEADER_SIZE 2
#define TOKEN_SIZE 16
/* The streams that try the targets. */
#define TCP_STREAM 77
#define UDP_STREAM 78
/* How often a token is sent within the time-out: a datagram may be lost, and a server may lose early data. */
#define TRIES 10
/* Steps that may each take the time-out. */
#define STEPS_MAX 10

/* ---- what the server says of itself ---- */

/* Read the server's INFO: what it offers, whatever we take of it. */
static void
read_info(struct checker *checker, const struct probe_event *info)
{
	const uint8_t *p = info->payload + INFO_HEADER_SIZE;
	size_t n = info->size - INFO_HEADER_SIZE;
	struct wisp_extension extension;

	if (info->size < INFO_HEADER_SIZE)
		return;
	while (wisp_extension_next(&p, &n, &extension)) {
		if (extension.id == WISP_EXTENSION_UDP)
			checker->udp = true;
		else if (extension.id == WISP_EXTENSION_PASSWORD || extension.id == WISP_EXTENSION_KEY)
			checker->asks_for_credentials = true;
		else if (extension.id == WISP_EXTENSION_OPEN_CONFIRMATION)
			checker->confirms = true;
	}
}

/* Open a WebSocket that offers version 2, or, to a server that does not like that, one that does not. */
static bool
open_any(struct checker *checker)
{
	if (probe_open(checker->probe, &(struct probe_opening){.offers_v2 = true}))
		return true;
	/* Without an answer the second attempt would end like the first. */
	return probe_status(checker->probe) != 0 && probe_open(checker->probe, &(struct probe_opening){0});
}

/* Look at the first packet that comes, without an answer to it. */
static void
look(struct checker *checker)
{
	const uint64_t deadline_ms = clock_now_ms() + checker->timeout_ms;
	struct probe_event event;

	do
		probe_next(checker->probe, &event);
	while (event.kind == PROBE_PING && clock_now_ms() < deadline_ms);
	checker->version = 1;
	if (event.kind == PROBE_PACKET && event.type == WISP_INFO) {
		checker->version = VERSION_2;
		read_info(checker, &event);
	}
	probe_close(checker->probe);
}

/* Shake hands, and note the outcome. Returns whether that worked; the connection is then open. */
static bool
greet(struct checker *checker, struct obstacles *obstacles)
{
	const struct probe_opening opening = {.offers_v2 = checker->version == VERSION_2};
	const struct wisp_handshake *handshake = probe_handshake(checker->probe);

	if (probe_open(checker->probe, &opening) && probe_greet(checker->probe)) {
		checker->credit = handshake->credit;
		checker->greets = true;
		return true;
	}
	snprintf(obstacles->handshake, VERDICT_TEXT_SIZE, "%s", probe_failure(checker->probe));
	if (probe_is_kept_out(checker->probe)) {
		checker->asks_for_credentials = true;
		checker->kept_out = obstacles->handshake;
	}
	return false;
}

/* ---- what the server reaches ---- */

/* What was seen of a port of the targets. */
enum reach {
	REACH_NOT,
	REACH_WRONG, /* the server reaches it, but what was sent there does not come back as it was */
	REACH_ECHO,
};

static bool
ends(const struct probe_event *event, uint32_t stream)
{
	return reply_is_end(event) || reply_is_packet(event, WISP_CLOSE, stream) ||
	       reply_is_packet(event, WISP_CLOSE, WISP_CONNECTION);
}

/*
 * Have a port of the targets echo a token. If it is not reached, says what came. `arrivals` counts what comes to it,
 * when it is our own: elsewhere, whatever sends something else may be somebody else.
 */
static enum reach
try_target(struct checker *checker, uint32_t stream, enum wisp_stream_type type, uint16_t port,
	const unsigned *arrivals, char text[VERDICT_TEXT_SIZE])
{
	const uint64_t deadline_ms = clock_now_ms() + checker->timeout_ms;
	const unsigned before = *arrivals;
	struct probe *probe = checker->probe;
	uint8_t token[TOKEN_SIZE] = {0};
	struct probe_event event;
	enum reach result = REACH_NOT;
	uint64_t resend_ms = 0;

	RAND_bytes(token, sizeof token);
	probe_send_connect(probe, stream, type, checker->targets->host, port);
	do {
		if (clock_now_ms() >= resend_ms) {
			probe_send_packet(probe, WISP_DATA, stream, token, sizeof token);
			resend_ms = clock_now_ms() + checker->timeout_ms / TRIES;
		}
		probe_next_within(probe, &event, checker->timeout_ms / TRIES);
		if (reply_is_packet(&event, WISP_DATA, stream) &&
			memmem(event.payload, event.size, token, sizeof token) != NULL)
			result = REACH_ECHO;
	} while (result == REACH_NOT && !ends(&event, stream) && clock_now_ms() < deadline_ms);
	if (result == REACH_NOT && *arrivals != before)
		result = REACH_WRONG;
	if (result == REACH_NOT)
		snprintf(text, VERDICT_TEXT_SIZE, "from %s, %s port %u, came %s", checker->targets->host,
			type == WISP_TCP ? "TCP" : "UDP", port, probe_describe(&event));
	probe_send_close(probe, stream, WISP_REASON_VOLUNTARY);
	return result;
}

/* Try the targets. The connection stands. */
static void
reach(struct checker *checker, struct obstacles *obstacles)
{
	const struct targets *targets = checker->targets;
	struct verdict verdict = {0};
	char came[VERDICT_TEXT_SIZE];
	enum reach tcp;

	if (targets == NULL) {
		snprintf(obstacles->targets, VERDICT_TEXT_SIZE, "there are no targets");
		snprintf(obstacles->udp, VERDICT_TEXT_SIZE, "there are no targets");
		return;
	}
	tcp = try_target(checker, TCP_STREAM, WISP_TCP, targets->tcp[TARGET_ECHO], &targets->echo_opened, came);
	checker->reaches_targets = tcp != REACH_NOT;
	checker->echoes = tcp == REACH_ECHO;
	if (!checker->reaches_targets)
		snprintf(obstacles->targets, VERDICT_TEXT_SIZE, "the server does not reach the targets: %.250s", came);
	if (checker->version == VERSION_2 && !checker->udp) {
		snprintf(obstacles->udp, VERDICT_TEXT_SIZE, "the server has no UDP");
		return;
	}
	if (!probe_is_open(checker->probe) && !probe_begin(checker, &verdict)) {
		snprintf(obstacles->udp, VERDICT_TEXT_SIZE, "%s", verdict.came);
		return;
	}
	checker->reaches_udp_targets =
		try_target(checker, UDP_STREAM, WISP_UDP, targets->udp_echo, &targets->datagrams, came) != REACH_NOT;
	if (!checker->reaches_udp_targets)
		snprintf(obstacles->udp, VERDICT_TEXT_SIZE, "no UDP: %.280s", came);
	if (checker->version == 1)
		checker->udp = checker->reaches_udp_targets;
}

bool
learn(struct checker *checker, struct obstacles *obstacles)
{
	bool connected;

	memset(obstacles, 0, sizeof *obstacles);
	checker->deadline_ms = clock_now_ms() + STEPS_MAX * checker->timeout_ms;
	connected = open_any(checker);
	if (connected) {
		look(checker);
		if (greet(checker, obstacles))
			reach(checker, obstacles);
		probe_close(checker->probe);
	}
	checker->deadline_ms = 0;
	return connected;
}

const char *
learn_obstacle(const struct checker *checker, const struct obstacles *obstacles, const struct check *check,
	bool is_of_handshake)
{
	const struct credentials_options *given = &checker->options->credentials;

	if ((check->needs & NEEDS_V2) && checker->version < VERSION_2)
		return "the server speaks version 1";
	if ((check->needs & NEEDS_CREDENTIALS) && !checker->asks_for_credentials)
		return "the server asks for no credentials";
	if ((check->needs & NEEDS_CREDENTIALS) && given->user == NULL && given->key_file == NULL)
		return "no credentials were given; see --user and --key";
	if (obstacles->handshake[0] != '\0' && (!is_of_handshake || (check->needs & (NEEDS_TARGETS | NEEDS_UDP))))
		return obstacles->handshake;
	if ((check->needs & NEEDS_TARGETS) && !checker->reaches_targets)
		return obstacles->targets;
	if ((check->needs & NEEDS_UDP) && !checker->reaches_udp_targets)
		return obstacles->udp;
	return NULL;
}
