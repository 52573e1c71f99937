/* Recognizes what else speaks at a port where a Wisp server should be, by its first bytes, and says what to change. */
#ifndef STRANGER_H
#define STRANGER_H

#include <stddef.h>

#include "failure.h"

/* Enough bytes to recognize each of them. */
#define STRANGER_SIZE 9

/* Set the failure for n bytes that came instead of an HTTP answer. */
void stranger_answers(struct failure *failure, const void *p, size_t n);

/* Set the failure for n bytes that came instead of the server's part of TLS. */
void stranger_has_no_tls(struct failure *failure, const void *p, size_t n);

#endif
