/*
 * Whether the silence of a TCP connection means that its other end is gone. It has neither a socket nor a clock:
 * liveness gives it what the kernel knows.
 *
 * The rule: the other end is gone when a segment that was sent has not been answered, nor anything after it, for
 * SILENCE_GRACE_MS, or SILENCE_DOUBT_MS where there is reason to doubt, and the kernel has tried again meanwhile. A
 * machine that is there answers each segment, also while its programs read nothing and its window is closed.
 */
#ifndef SILENCE_H
#define SILENCE_H

#include <stdbool.h>
#include <stdint.h>

/* How often to look while something is on its way. */
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
	uint64_t since_ms;    /* it was sent then */
	uint64_t deadline_ms; /* for an answer */
	uint32_t tries;       /* when the doubt began */
};

enum silence_verdict {
	SILENCE_OVER,    /* all is acknowledged: no need to look before something is sent again */
	SILENCE_LASTS,   /* look again */
	SILENCE_DOUBTED, /* look again, and ask the other end: nothing has been heard for a while */
	SILENCE_GONE,
};

/* A connection begins. */
void silence_reset(struct silence *silence);

/* There is reason to believe that the other end is out of reach. Something is sent to it at this moment. */
void silence_doubt(struct silence *silence, uint64_t now_ms, uint32_t tries);

/* Judge by what the kernel knows now. *look_ms is in how many milliseconds to look again. */
enum silence_verdict silence_judge(
	struct silence *silence, uint64_t now_ms, const struct silence_sample *sample, uint64_t *look_ms);

#endif
