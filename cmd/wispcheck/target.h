/*
 * The destinations that a server under test connects to. By default they run in this process, on loopback; or elsewhere
 * (`wispcheck --targets`), and are then only named here.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

/* What a TCP target does. Each has a port of its own. */
enum target_kind {
	TARGET_ECHO, /* sends back what it gets; ends when the other side has ended */
	TARGET_SINK, /* reads and forgets; after each byte 0xff answers with the 8 bytes (little endian) of what it read
		      */
	TARGET_SOURCE,   /* reads 8 bytes (little endian): a count; sends as many, TARGET_BYTE(i) each, and closes */
	TARGET_REFUSING, /* nobody listens */
	TARGET_SILENT,   /* accepts, reads nothing, says nothing */
	TARGET_TELLING,  /* sends nothing; its connections are counted (telling_open) */
	TARGET_KINDS,
};

/* The byte at an offset of what a source sends: anything lost, doubled or swapped shows. */
#define TARGET_BYTE(i) ((uint8_t)((i) ^ (i) >> 8 ^ (i) >> 16))

/* All of them take so many ports. */
#define TARGET_PORTS (TARGET_KINDS + 3)

struct targets {
	const char *host;           /* what CONNECT names: a numeric address or a name */
	uint16_t tcp[TARGET_KINDS]; /* ports */
	uint16_t udp_echo;          /* sends datagrams back */
	uint16_t udp_second;        /* the same on another port */
	uint16_t unanswering;       /* TCP: whoever connects to it waits (unanswering.h) */
	bool own;                   /* they run in this process, and count: */
	unsigned telling_open;      /* connections of TARGET_TELLING that are open */
	unsigned echo_opened;       /* connections of TARGET_ECHO that were ever opened */
	unsigned datagrams;         /* that have come by UDP */
};

/*
 * Start them in this process, on an address of this machine. With `base_port`, their ports are that one and those after
 * it, in the order of enum target_kind, then udp_echo, udp_second and unanswering, so that they can be named from
 * elsewhere; with 0 they are any free ones. NULL when that cannot be: logged.
 */
struct targets *targets_start(struct event_base *base, const char *host, uint16_t base_port);

/* Those that run elsewhere. */
struct targets *targets_elsewhere(const char *host, uint16_t base_port);

/* Whether nobody is answered at `unanswering`, as far as is known. */
bool targets_leave_unanswered(const struct targets *targets);

void targets_free(struct targets *targets);

#endif
