/*
 * One end's account of its streams, kept from the packets that it sends and hears: what it may send is checked against
 * it. Streams whose ids are LEDGER_IDS or more are not followed.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/packet.h>

#define LEDGER_IDS 1024

/* What a server counts a packet for when it works out how many more it takes. */
#define LEDGER_PACKET_BYTES 65536

enum ledger_state {
	LEDGER_UNUSED,
	LEDGER_OPENED, /* client: CONNECT has yet to be sent */
	LEDGER_KNOWN,  /* to both sides */
	LEDGER_OVER,
};

struct ledger {
	bool client;
	bool end_of_data;        /* was agreed on */
	uint32_t initial_credit; /* that a TCP stream starts with */
	struct {
		enum ledger_state state;
		bool udp;
		bool ended;      /* its data, by this end */
		uint32_t credit; /* client: TCP */
	} streams[LEDGER_IDS];
};

/* The application has opened a stream, as a client's does, or closed one. */
void ledger_open(struct ledger *ledger, uint32_t id, bool udp);
void ledger_close(struct ledger *ledger, uint32_t id);

/* A packet was heard, without an error of the session. */
void ledger_hear(struct ledger *ledger, const struct wisp_packet *packet);

/* A packet was sent: it must have been allowed. */
void ledger_send(struct ledger *ledger, const struct wisp_packet *packet);

/* Server: new credit was sent for a stream with this backlog: there must be room for it. */
void ledger_grant(const struct ledger *ledger, uint32_t credit, size_t backlog_bytes);

#endif
