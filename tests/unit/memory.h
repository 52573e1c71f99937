/*
 * Memory that runs out: the allocations of the code under test are counted, and fail when a test says so. Those of the
 * tests themselves, by must_alloc(), never do. What uses this is linked with $(LDFLAGS_MEMORY), which leads malloc()
 * and its like here; what OpenSSL and libevent allocate comes here too.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum memory_lack {
	MEMORY_LACKS_ONCE,    /* one allocation fails */
	MEMORY_LACKS_FOR_GOOD /* that one and all that follow */
};

/* Have OpenSSL allocate here. To be called before it has allocated anything. */
void memory_take_openssl(void);

/* The nth allocation from now on fails: 1 is the next. */
void memory_lack(enum memory_lack lack, size_t n);

/* No allocation fails any more. */
void memory_suffice(void);

/* How many allocations have failed since memory_lack(). */
size_t memory_failures(void);

/*
 * Run `work` with each of its allocations failing in its turn, and then with each and all that follow it, until there
 * is no such allocation any more. None of these runs may leave memory behind. It begins and ends with enough.
 */
void memory_fail_each(void (*work)(void));

/* malloc(), realloc() and free() that count and fail, for libraries that can be told to use them. */
void *memory_alloc(size_t n);
void *memory_realloc(void *p, size_t n);
void memory_free(void *p);

#endif
