#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- randomness ---- */

struct rng
rng_seeded(uint64_t seed)
{
	/* Seeds that follow one another must not give sequences that do. A state of 0 would stay 0. */
	struct rng rng = {(seed + 1) * 0x9e3779b97f4a7c15 | 1};

	for (int i = 0; i < 8; i++)
		rng_next(&rng);
	return rng;
}

/* xorshift64* */
uint64_t
rng_next(struct rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;
	return rng->state * 0x2545f4914f6cdd1d;
}

size_t
rng_below(struct rng *rng, size_t n)
{
	return (size_t)((rng_next(rng) >> 16) % n);
}

bool
rng_chance(struct rng *rng, unsigned percent)
{
	return rng_below(rng, 100) < percent;
}

void
rng_fill(struct rng *rng, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(rng_next(rng) >> 32);
}

/* ---- memory ---- */

volatile bool test_is_allocating;

void *
must_realloc(void *p, size_t n)
{
	test_is_allocating = true;
	p = realloc(p, n);
	test_is_allocating = false;
	if (p == NULL && n > 0)
		abort();
	return p;
}

void *
must_alloc(size_t n)
{
	void *const p = must_realloc(NULL, n);

	if (n > 0)
		memset(p, 0, n);
	return p;
}

/* ---- buffers ---- */

static void
reserve(struct buffer *buffer, size_t n)
{
	if (buffer->size - buffer->n >= n)
		return;
	buffer->size = 2 * (buffer->n + n);
	buffer->p = must_realloc(buffer->p, buffer->size);
}

void
buffer_put(struct buffer *buffer, const void *p, size_t n)
{
	if (n == 0)
		return;
	reserve(buffer, n);
	memcpy(buffer->p + buffer->n, p, n);
	buffer->n += n;
}

void
buffer_put_byte(struct buffer *buffer, unsigned byte)
{
	const uint8_t b = (uint8_t)byte;

	buffer_put(buffer, &b, 1);
}

void
buffer_printf(struct buffer *buffer, const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text)
		abort();
	buffer_put(buffer, text, (size_t)n);
}

void
buffer_put_escaped(struct buffer *buffer, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] >= ' ' && p[i] < 0x7f)
			buffer_put_byte(buffer, p[i]);
		else
			buffer_printf(buffer, "\\x%02x", p[i]);
	}
}

const char *
buffer_text(struct buffer *buffer)
{
	reserve(buffer, 1);
	buffer->p[buffer->n] = '\0';
	return (const char *)buffer->p;
}

void
buffer_clear(struct buffer *buffer)
{
	buffer->n = 0;
}

void
buffer_free(struct buffer *buffer)
{
	free(buffer->p);
	memset(buffer, 0, sizeof *buffer);
}

/* ---- pieces ---- */

uint8_t *
exact_copy(const void *p, size_t n)
{
	uint8_t *const copy = must_realloc(NULL, n);

	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}

static void
feed_piece(const uint8_t *p, size_t n, bool last, feed_fn *feed, void *arg)
{
	uint8_t *const piece = exact_copy(p, n);

	feed(arg, piece, n, last);
	free(piece);
}

void
feed_split(unsigned split, const uint8_t *input, size_t n, feed_fn *feed, void *arg)
{
	struct rng rng = rng_seeded(split);
	const size_t limit = split == 0 ? n : split == 1 ? 1 : (size_t)1 << rng_below(&rng, 17);
	const bool random = split > 1;
	const bool empty_end = random && split % 2;
	size_t at = 0;

	do {
		size_t size = random ? rng_below(&rng, limit + 1) : limit;

		if (size > n - at)
			size = n - at;
		feed_piece(input + at, size, at + size == n && !empty_end, feed, arg);
		at += size;
	} while (at < n);
	if (empty_end)
		feed_piece(input + n, 0, true, feed, arg);
}
