/*
 * Streams over the probe that send and get bytes which are known one by one, with the credit that they are given:
 * whatever is lost, doubled, swapped, or belongs to another stream shows. One struct exchange per connection and check.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"
#include "target.h"

/* The longest payload of a packet that an exchange sends. */
#define EXCHANGE_PACKET_MAX 65536
#define EXCHANGE_FAULT_SIZE 240

/* A stream. The first block is set before exchange_connect(), the second one kept by the exchange. */
struct exchange_stream {
	uint32_t id;
	uint32_t seed;         /* of the pattern that is sent: another one for each stream of an exchange */
	enum target_kind kind; /* TCP target that it leads to */
	size_t packet_bytes;   /* payload of each DATA packet; 0 for 1, 2, 3, … bytes in turn */
	uint64_t to_send;      /* bytes; a source is sent its count instead */
	uint64_t to_receive;   /* bytes that a source is to send; an echo's are those of to_send */

	uint64_t sent;
	uint64_t received;
	uint64_t packets_sent;
	uint32_t credit;      /* packets that may still be sent */
	uint32_t continues;   /* CONTINUE packets that came */
	uint32_t most_credit; /* the largest that one of them gave */
	bool closed;          /* CLOSE came */
	bool left;            /* CLOSE was sent: what still comes has crossed it */
	uint8_t reason;       /* of the CLOSE that came */
};

struct exchange {
	struct checker *checker;
	struct exchange_stream *streams; /* the caller's: all that were ever opened on this connection */
	size_t count;
	size_t next;                     /* whose turn it is to send */
	char fault[EXCHANGE_FAULT_SIZE]; /* what the server did wrong; "" as long as it did nothing */
};

/* Open a connection for these streams. Returns false, with the verdict failed, when there is none. */
bool exchange_begin(struct exchange *exchange, struct checker *checker, struct exchange_stream *streams, size_t count,
	struct verdict *verdict);

/* Send a stream's CONNECT; what it has to send follows without waiting for anything. */
void exchange_connect(struct exchange *exchange, struct exchange_stream *stream);
void exchange_close(struct exchange *exchange, struct exchange_stream *stream);

enum exchange_result {
	EXCHANGE_MOVED,   /* something was sent or came */
	EXCHANGE_SILENCE, /* nothing within the time */
	EXCHANGE_FAULT,   /* `fault` says what */
};

/* Send a bounded piece of what credit allows, and take at most one event, waiting so long for it. */
enum exchange_result exchange_step(struct exchange *exchange, uint64_t wait_ms);

/* Begin with a stream that has done its part already. Fails the verdict when that does not come about. */
bool exchange_begin_with(
	struct exchange *exchange, struct checker *checker, struct exchange_stream *stream, struct verdict *verdict);

/*
 * Go on until every stream that was connected has sent and got what it is to, and those of sources are closed. Returns
 * false with a fault when that does not come about: nothing may stand still for the checker's time-out.
 */
bool exchange_run(struct exchange *exchange);

#endif
