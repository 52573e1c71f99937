/* What speaks at a port where a Wisp server should be, by the first bytes that come, and what to change then. */
#ifndef STRANGER_H
#define STRANGER_H

#include <stddef.h>

#include "failure.h"

/* So many bytes are enough to know any of them. */
#define STRANGER_SIZE 9

/* Set the failure for n bytes that came instead of an HTTP answer. */
void stranger_answers(struct failure *failure, const void *p, size_t n);

/* Set the failure for n bytes that came instead of the server's part of TLS. */
void stranger_has_no_tls(struct failure *failure, const void *p, size_t n);

#endif
