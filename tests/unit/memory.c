#include "memory.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "unit.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);

static size_t blocks;
static size_t countdown; /* the allocation that is to fail: 1 is the next, 0 none */
static bool for_good;
static size_t failures;

static bool
fails(void)
{
	if (test_is_allocating || countdown == 0)
		return false;
	if (countdown > 1) {
		countdown--;
		return false;
	}
	if (!for_good)
		countdown = 0;
	failures++;
	return true;
}

static void *
counted(void *p)
{
	blocks += p != NULL;
	return p;
}

void *
memory_alloc(size_t n)
{
	return fails() ? NULL : counted(__real_malloc(n));
}

void *
memory_realloc(void *p, size_t n)
{
	if (p == NULL)
		return memory_alloc(n);
	if (n == 0) {
		memory_free(p);
		return NULL;
	}
	return fails() ? NULL : __real_realloc(p, n);
}

void
memory_free(void *p)
{
	blocks -= p != NULL;
	__real_free(p);
}

/* ---- in the place of the C library's ---- */

void *
__wrap_malloc(size_t n)
{
	return memory_alloc(n);
}

void *
__wrap_calloc(size_t count, size_t n)
{
	return fails() ? NULL : counted(__real_calloc(count, n));
}

void *
__wrap_realloc(void *p, size_t n)
{
	return memory_realloc(p, n);
}

void
__wrap_free(void *p)
{
	memory_free(p);
}

char *
__wrap_strndup(const char *text, size_t n)
{
	const size_t size = strnlen(text, n);
	char *const copy = memory_alloc(size + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

char *
__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

/* ---- in the place of OpenSSL's ---- */

static void *
crypto_alloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return memory_alloc(n);
}

static void *
crypto_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return memory_realloc(p, n);
}

static void
crypto_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	memory_free(p);
}

void
memory_take_openssl(void)
{
	if (CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free) != 1)
		abort();
}

/* ---- what tests say ---- */

void
memory_lack(enum memory_lack lack, size_t n)
{
	countdown = n;
	for_good = lack == MEMORY_LACKS_FOR_GOOD;
	failures = 0;
}

void
memory_suffice(void)
{
	countdown = 0;
}

size_t
memory_failures(void)
{
	return failures;
}

/* Returns how many blocks are left behind. A library may also let go of what it has kept from before. */
static size_t
work_without(void (*work)(void), enum memory_lack lack, size_t n)
{
	const size_t before = blocks;

	memory_lack(lack, n);
	work();
	memory_suffice();
	return blocks > before ? blocks - before : 0;
}

static void
fail_each(void (*work)(void), enum memory_lack lack)
{
	size_t n = 0;

	do {
		/* A library may keep something for good, but only the first time. */
		if (work_without(work, lack, ++n) != 0)
			assert_int_equal(work_without(work, lack, n), 0);
	} while (failures > 0); /* at last, there was memory for all of it */
}

void
memory_fail_each(void (*work)(void))
{
	failures = 0;
	work();
	fail_each(work, MEMORY_LACKS_ONCE);
	fail_each(work, MEMORY_LACKS_FOR_GOOD);
}
