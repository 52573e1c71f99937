/*
 * To be preloaded into one of the programs, whose allocations it lets fail:
 *
 *   NO_MEMORY_AT=N     the Nth of all fails, after a line on standard error
 *   NO_MEMORY_EVERY=N  every Nth fails, from one USR2 to the next
 *
 * Only what the program's own code asks for fails, by the address that the call returns to. What libevent,
 * libwebsockets and OpenSSL ask for within is theirs to bear: a program is not always told. Those of their functions
 * that would tell it fail instead.
 */
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/evp.h>

/* Where the program's code stands. */
static uintptr_t code_begin, code_end;
static unsigned long at, every, count;
static volatile sig_atomic_t is_short;
static unsigned long failures;

static void
say(const char *format, unsigned long number)
{
	char line[100];
	/* In a signal handler too: of an integer, it takes no lock and no memory. */
	const int n = snprintf(line, sizeof line, format, number); /* NOLINT(bugprone-signal-handler,cert-sig30-c) */

	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(99);
}

static bool
fails(const void *caller)
{
	if ((uintptr_t)caller < code_begin || (uintptr_t)caller >= code_end)
		return false;
	count++;
	if (count == at)
		say("allocation %lu fails\n", count);
	if (count != at && !(is_short && count % every == 0))
		return false;
	failures++;
	return true;
}

/*
 * The parameters' names are our own, and types and lists of parameters cannot stand in parentheses.
 * NOLINTBEGIN(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name)
 */

/* Define a function that fails in its turn, and else does what the one that it hides does. */
#define LACK(type, name, parameters, arguments, failed)                                                                \
	type name parameters                                                                                           \
	{                                                                                                              \
		static type(*_Atomic real) parameters;                                                                 \
                                                                                                                       \
		if (fails(__builtin_return_address(0)))                                                                \
			return failed;                                                                                 \
		if (real == NULL)                                                                                      \
			real = (type(*) parameters)dlsym(RTLD_NEXT, #name);                                            \
		return real arguments;                                                                                 \
	}

LACK(void *, malloc, (size_t n), (n), NULL)
LACK(void *, calloc, (size_t items, size_t n), (items, n), NULL)
LACK(void *, realloc, (void *p, size_t n), (p, n), NULL)
LACK(char *, strdup, (const char *text), (text), NULL)
LACK(char *, strndup, (const char *text, size_t n), (text, n), NULL)
LACK(struct evbuffer *, evbuffer_new, (void), (), NULL)
LACK(int, evbuffer_add, (struct evbuffer * buffer, const void *p, size_t n), (buffer, p, n), -1)
LACK(struct event *, event_new,
	(struct event_base * base, evutil_socket_t fd, short what, event_callback_fn callback, void *arg),
	(base, fd, what, callback, arg), NULL)
LACK(struct event_base *, event_base_new, (void), (), NULL)
LACK(struct evdns_base *, evdns_base_new, (struct event_base * base, int flags), (base, flags), NULL)
LACK(BIO *, BIO_new, (const BIO_METHOD *method), (method), NULL)
LACK(BIO *, BIO_new_mem_buf, (const void *p, int n), (p, n), NULL)
LACK(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL)
/* NOLINTEND(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name) */

static void
on_signal(int number)
{
	(void)number;
	is_short = !is_short;
	if (is_short)
		say("memory is short\n", 0);
	else
		say("memory suffices after %lu failures\n", failures);
}

/* The program itself is the first. */
static int
find_code(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		code_begin = info->dlpi_addr + segment->p_vaddr;
		code_end = code_begin + segment->p_memsz;
	}
	return 1;
}

static unsigned long
setting(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? strtoul(value, NULL, 10) : 0;
}

static __attribute__((constructor)) void
begin(void)
{
	at = setting("NO_MEMORY_AT");
	every = setting("NO_MEMORY_EVERY");
	if (every > 0)
		signal(SIGUSR2, on_signal);
	dl_iterate_phdr(find_code, NULL);
}
