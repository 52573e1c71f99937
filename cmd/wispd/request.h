/*
 * The head of a client's request as it comes in, in memory that grows with it. The memory of all requests is counted
 * together.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
	char *head;
	size_t size;
	size_t room;
	size_t seen; /* how much of it has been searched for the end of the head */
};

/*
 * Append as many of the n bytes as fit. *total counts the memory: a small request always gets its memory, a larger one
 * only while the total stays within its bound. Returns how many bytes were appended; 0 when there is no memory.
 */
size_t request_add(struct request *request, size_t *total, const uint8_t *p, size_t n);

/* Whether the head is complete, or too long. */
bool request_is_complete(struct request *request);

/* Free the memory. The request can be used again. */
void request_clear(struct request *request, size_t *total);

#endif
