#include "datagrams.h"

#include <stdlib.h>
#include <string.h>

struct datagram {
	TAILQ_ENTRY(datagram) in_pool;
	TAILQ_ENTRY(datagram) in_flow;
	struct datagram_flow *flow;
	size_t size;
	uint8_t bytes[];
};

void
datagram_pool_init(struct datagram_pool *pool, size_t limit_bytes)
{
	*pool = (struct datagram_pool){.limit_bytes = limit_bytes};
	TAILQ_INIT(&pool->all);
}

void
datagram_flow_init(struct datagram_flow *flow, struct datagram_pool *pool)
{
	flow->pool = pool;
	TAILQ_INIT(&flow->waiting);
}

static void
release(struct datagram *datagram)
{
	struct datagram_flow *flow = datagram->flow;

	TAILQ_REMOVE(&flow->pool->all, datagram, in_pool);
	TAILQ_REMOVE(&flow->waiting, datagram, in_flow);
	flow->pool->used_bytes -= sizeof *datagram + datagram->size;
	free(datagram);
}

/* Returns false when so many bytes never fit. */
static bool
make_room(struct datagram_pool *pool, size_t bytes)
{
	if (bytes > pool->limit_bytes)
		return false;
	while (pool->used_bytes > pool->limit_bytes - bytes) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
		release(TAILQ_FIRST(&pool->all));
		pool->dropped++;
	}
	return true;
}

void
datagram_push(struct datagram_flow *flow, const uint8_t *p, size_t n)
{
	struct datagram_pool *pool = flow->pool;
	struct datagram *datagram = NULL;

	if (make_room(pool, sizeof *datagram + n))
		datagram = malloc(sizeof *datagram + n);
	if (datagram == NULL) {
		pool->dropped++;
		return;
	}
	datagram->flow = flow;
	datagram->size = n;
	if (n > 0)
		memcpy(datagram->bytes, p, n);
	TAILQ_INSERT_TAIL(&pool->all, datagram, in_pool);
	TAILQ_INSERT_TAIL(&flow->waiting, datagram, in_flow);
	pool->used_bytes += sizeof *datagram + n;
}

bool
datagram_flow_is_empty(const struct datagram_flow *flow)
{
	return TAILQ_EMPTY(&flow->waiting);
}

size_t
datagram_next_size(const struct datagram_flow *flow)
{
	return TAILQ_EMPTY(&flow->waiting) ? 0 : TAILQ_FIRST(&flow->waiting)->size;
}

bool
datagram_pop(struct datagram_flow *flow, uint8_t *p, size_t n, size_t *size)
{
	struct datagram *datagram = TAILQ_FIRST(&flow->waiting);
	bool fits;

	if (datagram == NULL)
		return false;
	fits = datagram->size <= n;
	*size = datagram->size;
	if (fits && datagram->size > 0)
		memcpy(p, datagram->bytes, datagram->size);
	release(datagram);
	return fits;
}

void
datagram_flow_clear(struct datagram_flow *flow)
{
	while (!TAILQ_EMPTY(&flow->waiting))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has been taken out of its lists before it was freed */
		release(TAILQ_FIRST(&flow->waiting));
}
