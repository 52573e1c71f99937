/* What the unit tests and the fuzzers share: seeded randomness, growing buffers, and input that is cut into pieces. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A string constant as bytes: p and n, without the final NUL, which lets it hold NULs. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

/* ---- randomness: the same for the same seed ---- */

struct rng {
	uint64_t state;
};

struct rng rng_seeded(uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* 0 to n - 1 */
size_t rng_below(struct rng *rng, size_t n);
bool rng_chance(struct rng *rng, unsigned percent);
void rng_fill(struct rng *rng, uint8_t *p, size_t n);

/* ---- memory: without any the program ends ---- */

/* n bytes, all zero. To be freed. */
void *must_alloc(size_t n);
void *must_realloc(void *p, size_t n);

/* Whether it is a test that allocates, and not the code under test. Volatile, since compilers know what realloc()
 * reads. */
extern volatile bool test_is_allocating;

/* ---- buffers: all zero is empty ---- */

struct buffer {
	uint8_t *p;
	size_t n;
	size_t size;
};

void buffer_put(struct buffer *buffer, const void *p, size_t n);
void buffer_put_byte(struct buffer *buffer, unsigned byte);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Append bytes as text: what cannot be printed becomes \xNN. */
void buffer_put_escaped(struct buffer *buffer, const uint8_t *p, size_t n);
/* The content as a string, until the buffer changes. */
const char *buffer_text(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

/* ---- pieces ---- */

/* A copy in a block of just that size, so that a sanitizer sees each byte read or written beyond it. To be freed. */
uint8_t *exact_copy(const void *p, size_t n);

/* How many ways feed_split() knows: 0 is whole, 1 a byte at a time, the others are random, some with empty pieces. */
#define SPLITS 300

/* Take a piece of the input, which may be changed. `last`: nothing comes after it. */
typedef void feed_fn(void *arg, uint8_t *p, size_t n, bool last);

/* Feed a copy of the input in pieces, each in a block of its own. */
void feed_split(unsigned split, const uint8_t *input, size_t n, feed_fn *feed, void *arg);

#endif
