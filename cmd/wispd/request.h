/* The head of a client's request as it comes in: memory that grows with it, counted together with all others'. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
	char *head;
	size_t size;
	size_t room;
	size_t seen; /* so much of it has been looked at, and has no end */
};

/*
 * Add what fits of n bytes, into memory that is counted in *total: a small request always, a larger one only while all
 * together stay within bounds. Returns how much that is, at least 1; 0 when there is no memory for it.
 */
size_t request_add(struct request *request, size_t *total, const uint8_t *p, size_t n);

/* Whether the head is complete, or too long. */
bool request_is_complete(struct request *request);

/* Free what it holds; it can be used again. */
void request_clear(struct request *request, size_t *total);

#endif
