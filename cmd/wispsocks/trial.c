#include "trial.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "address.h"
#include "clock.h"
#include "log.h"
#include "output.h"

/* How long a far end may take to say something: many wait for the program to speak first. */
#define FIRST_BYTE_MS 2000
/* The same where the server does not confirm streams, and may still be connecting. */
#define UNCONFIRMED_MS 5000
/* How much of what it says is shown. */
#define SHOWN_MAX 60

enum trial_state {
	TRIAL_CONNECTING, /* to the server */
	TRIAL_OPENING,    /* the server is to confirm the stream */
	TRIAL_LISTENING,  /* for the first byte */
	TRIAL_OVER,
};

struct trial {
	struct event_base *base;
	const struct trial_options *options;
	struct tunnel_options tunnel_options;
	struct tunnel *tunnel;
	struct wisp_stream *stream;
	struct event timer; /* the end of OPENING or LISTENING */
	enum trial_state state;
	char target[ADDRESS_JOINED_SIZE];
	uint64_t began_us;
	uint64_t step_us; /* when this step began */
	bool good;
};

/* ---- what is printed ---- */

/* Print a line for a step, with the time since the last one. */
static void
print_step(struct trial *trial, const char *name, bool done, const char *text)
{
	const uint64_t now_us = clock_now_us();
	char shown[STEP_TEXT_SIZE];

	snprintf(shown, sizeof shown, "%s", text);
	log_make_printable(shown);
	printf("%-10s %9.1f ms  %s%s\n", name, (double)(now_us - trial->step_us) / 1000, done ? "" : "FAILED: ", shown);
	fflush(stdout);
	trial->step_us = now_us;
}

static void
end_trial(struct trial *trial, bool good)
{
	trial->good = good;
	trial->state = TRIAL_OVER;
	printf("%-10s %9.1f ms  %s %s\n", "total", (double)(trial->step_us - trial->began_us) / 1000,
		good ? "reached" : "did not reach", trial->target);
	event_base_loopbreak(trial->base);
}

/* Something behind the server has failed. */
static void __attribute__((format(printf, 3, 4)))
fail_step(struct trial *trial, const char *name, const char *format, ...)
{
	char text[STEP_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	print_step(trial, name, false, text);
	log_error("%s: %s", trial->target, text);
	end_trial(trial, false);
}

/* ---- the way to the server ---- */

static void
on_step(void *arg, enum step step, bool done, const char *text)
{
	struct trial *trial = arg;

	if (trial->state == TRIAL_CONNECTING)
		print_step(trial, step_name(step), done, text);
	else if (trial->state != TRIAL_OVER && !done)
		fail_step(trial, trial->state == TRIAL_OPENING ? "stream" : "first byte",
			"the connection to the server was lost: %s", text);
}

static void
on_hopeless(void *arg)
{
	end_trial(arg, false); /* the tunnel has logged why */
}

/* ---- the stream ---- */

static void
wait_for(struct trial *trial, enum trial_state state, uint64_t ms)
{
	const struct timeval tv = clock_timeval(ms);

	trial->state = state;
	evtimer_add(&trial->timer, &tv);
}

static void
on_granted(void *arg)
{
	struct trial *trial = arg;

	if (trial->state != TRIAL_OPENING)
		return;
	print_step(trial, "stream", true, "the server has connected");
	wait_for(trial, TRIAL_LISTENING, FIRST_BYTE_MS);
}

/* Its first line, as far as there is room for it. */
static void
describe_data(const uint8_t *p, size_t n, char text[STEP_TEXT_SIZE])
{
	char line[SHOWN_MAX + 1];
	size_t size = 0;

	while (size < n && size < SHOWN_MAX && p[size] >= ' ' && p[size] < 0x7f)
		size++;
	memcpy(line, p, size);
	line[size] = '\0';
	if (size > 0)
		snprintf(text, STEP_TEXT_SIZE, "it says \"%s\"%s", line, size < n ? " and more" : "");
	else
		snprintf(text, STEP_TEXT_SIZE, "%zu bytes have come", n);
}

static void
on_data(void *arg, uint8_t *p, size_t n, bool last)
{
	struct trial *trial = arg;
	char text[STEP_TEXT_SIZE];

	(void)last;
	if (n == 0)
		return;
	on_granted(trial); /* if it was not said, this says it */
	if (trial->state != TRIAL_LISTENING)
		return;
	describe_data(p, n, text);
	print_step(trial, "first byte", true, text);
	end_trial(trial, true);
}

static void
on_closed(void *arg, uint8_t reason)
{
	struct trial *trial = arg;

	trial->stream = NULL;
	if (trial->state == TRIAL_OPENING)
		fail_step(trial, "stream", "the server cannot connect: %s (0x%02x)", wisp_reason_text(reason), reason);
	else if (trial->state == TRIAL_LISTENING)
		fail_step(trial, "first byte", "it was closed before a byte came: %s (0x%02x)",
			wisp_reason_text(reason), reason);
}

/* The far end has nothing to say. */
static void
on_ended(void *arg)
{
	struct trial *trial = arg;

	if (trial->state == TRIAL_OPENING || trial->state == TRIAL_LISTENING)
		fail_step(trial, "first byte", "it was closed before a byte came: the destination has ended its data");
}

static size_t
read_nothing(void *arg, uint8_t *p, size_t n)
{
	(void)arg, (void)p, (void)n;
	return 0;
}

static size_t
nothing_available(void *arg)
{
	(void)arg;
	return 0;
}

static const struct wisp_stream_callbacks trial_stream_callbacks = {
	.data = on_data,
	.closed = on_closed,
	.ended = on_ended,
	.read = read_nothing,
	.available = nothing_available,
	.granted = on_granted,
};

static void
on_tunnel_up(void *arg)
{
	struct trial *trial = arg;
	struct wisp_session *session = tunnel_session(trial->tunnel);
	const struct wisp_destination destination = {
		.type = WISP_TCP,
		.port = trial->options->port,
		.host = trial->options->host,
		.host_size = strlen(trial->options->host),
	};

	trial->stream = wisp_stream_open(session, &destination, &trial_stream_callbacks, trial);
	if (trial->stream == NULL) {
		fail_step(trial, "stream", "out of memory");
	} else if (wisp_session_handshake(session)->confirmation) {
		wait_for(trial, TRIAL_OPENING, trial->options->patience_ms);
	} else {
		print_step(trial, "stream", true, "asked for; this server does not say whether it has connected");
		wait_for(trial, TRIAL_LISTENING, UNCONFIRMED_MS);
	}
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct trial *trial = arg;

	(void)fd, (void)what;
	if (trial->state == TRIAL_OPENING) {
		fail_step(trial, "stream", "the server has not connected in %.3g s",
			(double)trial->options->patience_ms / 1000);
	} else if (trial->state == TRIAL_LISTENING) {
		print_step(trial, "first byte", true,
			"nothing was said, but the stream is open: the destination may wait for us");
		end_trial(trial, true);
	}
}

/* ---- all of it ---- */

int
trial_run(struct event_base *base, const struct trial_options *options)
{
	static const struct tunnel_callbacks callbacks = {
		.up = on_tunnel_up,
		.hopeless = on_hopeless,
		.step = on_step,
	};
	struct trial trial = {.base = base, .options = options, .tunnel_options = options->tunnel};

	trial.tunnel_options.once = true;
	trial.tunnel_options.confirm = true;
	trial.began_us = trial.step_us = clock_now_us();
	address_join(options->host, options->port, trial.target);
	evtimer_assign(&trial.timer, base, on_time, &trial);
	trial.tunnel = tunnel_new(base, &trial.tunnel_options, &callbacks, &trial);
	if (trial.step_us == trial.began_us)
		trial.began_us = trial.step_us = clock_now_us(); /* without what setting up took */
	if (trial.tunnel != NULL)
		event_base_dispatch(base);
	trial.state = TRIAL_OVER;
	tunnel_free(trial.tunnel);
	evtimer_del(&trial.timer);
	return output_finish() == OUTPUT_WRITTEN && trial.good ? EXIT_SUCCESS : EXIT_FAILURE;
}
