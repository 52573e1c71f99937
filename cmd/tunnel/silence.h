/*
 * Decides whether a silent TCP connection has lost its other end. It has neither a socket nor a clock: liveness passes
 * it what the kernel knows.
 *
 * The rule: the other end is gone when nothing has been received since a segment was sent for SILENCE_GRACE_MS, or for
 * SILENCE_DOUBT_MS when there is reason to doubt, and the kernel has sent again meanwhile. A machine that is there
 * acknowledges each segment, even while its programs read nothing and its window is closed.
 */
#ifndef SILENCE_H
#define SILENCE_H

#include <stdbool.h>
#include <stdint.h>

/* How often to look while something is unacknowledged. */
#define SILENCE_LOOK_MS 3000
#define SILENCE_GRACE_MS 10000
#define SILENCE_DOUBT_MS 2000

/* What the kernel knows of a connection. */
struct silence_sample {
	uint32_t queued_bytes; /* all that is not acknowledged, sent or not */
	uint32_t unacked;      /* segments sent and not acknowledged */
	uint32_t tries;        /* retransmissions and probes of the window, in a row, without progress */
	uint32_t sent_ago_ms;  /* since a segment with data was last sent, again or not */
	uint32_t heard_ago_ms; /* since anything was last received */
};

struct silence {
	bool doubted;         /* a segment has not been answered yet */
	uint64_t since_ms;    /* when it was sent */
	uint64_t deadline_ms; /* for an answer */
	uint32_t tries;       /* when the doubt began */
};

enum silence_verdict {
	SILENCE_OVER,    /* all is acknowledged: no need to look until something is sent again */
	SILENCE_LASTS,   /* look again */
	SILENCE_DOUBTED, /* look again, and ask the other end: nothing has been heard for a while */
	SILENCE_GONE,
};

/* A connection begins. */
void silence_reset(struct silence *silence);

/* There is reason to believe that the other end is out of reach. Something is sent to it at this moment. */
void silence_doubt(struct silence *silence, uint64_t now_ms, uint32_t tries);

/* Judge by what the kernel knows now. Sets *look_ms to the time until the next look. */
enum silence_verdict silence_judge(
	struct silence *silence, uint64_t now_ms, const struct silence_sample *sample, uint64_t *look_ms);

#endif
