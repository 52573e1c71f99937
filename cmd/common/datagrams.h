/*
 * Datagrams that wait, each for its flow, within one bound for all flows of a pool: when there is no room for another
 * one, the oldest go, whose flow's ever they are.
 */
#ifndef DATAGRAMS_H
#define DATAGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/queue.h>

struct datagram;
TAILQ_HEAD(datagram_list, datagram);

struct datagram_pool {
	struct datagram_list all; /* the oldest first */
	size_t used_bytes;        /* with what each takes besides its payload */
	size_t limit_bytes;
	uint64_t dropped; /* how many had to go */
};

struct datagram_flow {
	struct datagram_pool *pool;
	struct datagram_list waiting;
};

void datagram_pool_init(struct datagram_pool *pool, size_t limit_bytes);
void datagram_flow_init(struct datagram_flow *flow, struct datagram_pool *pool);

/* Keep a copy of n bytes. Without memory for it, the datagram is dropped. */
void datagram_push(struct datagram_flow *flow, const uint8_t *p, size_t n);

bool datagram_flow_is_empty(const struct datagram_flow *flow);

/* The size of the flow's oldest datagram; 0 when there is none. */
size_t datagram_next_size(const struct datagram_flow *flow);

/*
 * Move the flow's oldest datagram to p, where there is room for n bytes, and set *size. A longer one is dropped.
 * Returns false when there is none that fits.
 */
bool datagram_pop(struct datagram_flow *flow, uint8_t *p, size_t n, size_t *size);

/* Drop all that waits for the flow. */
void datagram_flow_clear(struct datagram_flow *flow);

#endif
