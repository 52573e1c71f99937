#include "ledger.h"

#include <wisp/session.h>

#include "fuzz.h"

void
ledger_open(struct ledger *ledger, uint32_t id, bool udp)
{
	must(id != WISP_CONNECTION);
	if (id >= LEDGER_IDS)
		return;
	must(ledger->streams[id].state == LEDGER_UNUSED);
	ledger->streams[id].state = LEDGER_OPENED;
	ledger->streams[id].udp = udp;
	ledger->streams[id].credit = ledger->initial_credit;
}

/* The server never hears of a stream that ends before its CONNECT was sent. */
void
ledger_close(struct ledger *ledger, uint32_t id)
{
	if (ledger->client && id < LEDGER_IDS && ledger->streams[id].state == LEDGER_OPENED)
		ledger->streams[id].state = LEDGER_OVER;
}

void
ledger_hear(struct ledger *ledger, const struct wisp_packet *packet)
{
	const uint32_t id = packet->stream_id;

	if (id == WISP_CONNECTION || id >= LEDGER_IDS)
		return;
	if (packet->type == WISP_CONNECT && !ledger->client) {
		ledger->streams[id].state = LEDGER_KNOWN;
		ledger->streams[id].ended = false;
		ledger->streams[id].udp = packet->destination.type == WISP_UDP;
	} else if (packet->type == WISP_CLOSE && ledger->streams[id].state != LEDGER_UNUSED) {
		ledger->streams[id].state = LEDGER_OVER;
	} else if (packet->type == WISP_CONTINUE) {
		ledger->streams[id].credit = packet->credit;
	}
}

static void
send_data(struct ledger *ledger, const struct wisp_packet *packet)
{
	const uint32_t id = packet->stream_id;

	if (ledger->streams[id].udp) {
		must(packet->size <= WISP_DATAGRAM_MAX);
		return;
	}
	must(packet->size >= 1 && packet->size <= WISP_DATA_MAX && !ledger->streams[id].ended);
	must(!ledger->client || ledger->streams[id].credit-- > 0);
}

void
ledger_send(struct ledger *ledger, const struct wisp_packet *packet)
{
	const uint32_t id = packet->stream_id;

	if (id == WISP_CONNECTION || id >= LEDGER_IDS)
		return;
	must(ledger->streams[id].state == (packet->type == WISP_CONNECT ? LEDGER_OPENED : LEDGER_KNOWN));
	switch (packet->type) {
	case WISP_CONNECT:
		must(ledger->client && (packet->destination.type == WISP_UDP) == ledger->streams[id].udp);
		ledger->streams[id].state = LEDGER_KNOWN;
		break;
	case WISP_DATA:
		send_data(ledger, packet);
		break;
	case WISP_CONTINUE:
		must(!ledger->client && !ledger->streams[id].udp && packet->credit <= ledger->initial_credit);
		break;
	case WISP_CLOSE:
		ledger->streams[id].state = LEDGER_OVER;
		break;
	case WISP_END:
		must(ledger->end_of_data && !ledger->streams[id].udp && !ledger->streams[id].ended);
		ledger->streams[id].ended = true;
		break;
	case WISP_INFO:
		must(false);
		break;
	}
}

void
ledger_grant(const struct ledger *ledger, uint32_t credit, size_t backlog_bytes)
{
	const uint64_t held = (backlog_bytes + LEDGER_PACKET_BYTES - 1) / LEDGER_PACKET_BYTES;

	must(credit == 0 || credit + held <= ledger->initial_credit);
}
