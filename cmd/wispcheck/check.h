/*
 * What a check is, and what comes of it. The checks themselves stand in tables, one file per group; main runs those
 * that fit the server, one after the other, and report prints what came of them.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include <wisp/handshake.h>

#include "tunnel.h"

struct probe;
struct targets;

enum outcome {
	OUTCOME_PASS,
	OUTCOME_FAIL, /* the specification says otherwise */
	OUTCOME_WARN, /* it leaves room for this, but clients will suffer */
	OUTCOME_SKIP, /* it does not apply to this server, or cannot be found out here */
};

#define VERDICT_TEXT_SIZE 300

/* The exit code when no server could be connected to at all. */
#define EXIT_NO_CONNECTION 3

/* What came of a check. A check that says nothing has passed. */
struct verdict {
	enum outcome outcome;
	char came[VERDICT_TEXT_SIZE]; /* what came instead, or what is worth telling; "" for nothing */
};

/* Say what came. A failure or a warning is not made good by what comes after it. */
void verdict_fail(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
void verdict_warn(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
void verdict_skip(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A word on something that passed, such as a value that was seen. */
void verdict_note(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a check takes. Without it, it is skipped. */
enum check_needs {
	NEEDS_TARGETS = 1 << 0,     /* that the server reaches the TCP targets */
	NEEDS_UDP = 1 << 1,         /* a server that has UDP, and reaches the UDP targets */
	NEEDS_V2 = 1 << 2,          /* a server that speaks version 2 */
	NEEDS_CREDENTIALS = 1 << 3, /* a server that asks for them, and some that were given */
};

/* What a run is about, and what has been learned of the server. Filled in by main before the checks. */
struct checker {
	struct event_base *base;
	const struct tunnel_options *options; /* the first of its servers, how to get there, and what to show it */
	const struct credentials *credentials;
	uint64_t timeout_ms; /* of every wait */
	const struct targets *targets;
	struct probe *probe;  /* there is one connection at a time; the checks open it (probe.h) */
	uint64_t deadline_ms; /* of the check that runs, or 0: from then on only silence comes from the server */

	uint8_t version;           /* the highest that the server has agreed to: 1 or 2 */
	uint32_t credit;           /* that the server gives a stream */
	bool udp;                  /* it has UDP: by INFO in version 2, by trying in version 1 */
	bool asks_for_credentials; /* version 2 */
	bool confirms;             /* it offers to confirm streams */
	bool greets;               /* the handshake of Wisp succeeds */
	bool reaches_targets;
	bool echoes; /* and what was sent to them came back right: so that shows whether the server still works */
	bool reaches_udp_targets;
	const char *kept_out; /* why the server does not let us in, which probe_begin() says; NULL when it does */
};

struct check {
	const char *name;     /* "group/what": lower case, digits and hyphens; stable, for --only and --skip */
	const char *section;  /* of the specification: "Wisp: Packet Types, DATA", "RFC 6455 section 5.4" */
	const char *expected; /* what a right server does, in one sentence without a final full stop */
	unsigned needs;       /* of check_needs */
	void (*run)(struct checker *checker, struct verdict *verdict);
};

/* The tables, in the order in which they run; each ends with a name that is NULL. */
extern const struct check handshake_checks[];
extern const struct check stream_checks[];
extern const struct check credit_checks[];
extern const struct check error_checks[];
extern const struct check udp_checks[];

#endif
