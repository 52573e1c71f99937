/*
 * The names in /etc/hosts. The file's text is kept, with an index of its names, so that a name is found at once however
 * long the file is. It is given in pieces, so that nobody has to wait while all of it is read.
 */
#ifndef HOSTS_H
#define HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addresses.h"

/* Of a longer file, the rest is not known. */
#define HOSTS_TEXT_MAX ((size_t)16 << 20)

struct hosts;

/* NULL without memory. `expected` is the size of the text, as far as that is known. */
struct hosts *hosts_new(size_t expected);
void hosts_free(struct hosts *hosts);

/* Append a piece of the text; n is 0 at its end. Returns false without memory, and when there is too much: what has
 * been taken in by then is known. */
bool hosts_add(struct hosts *hosts, const char *text, size_t n);

/*
 * Find the addresses of a name, without regard to case and to a final dot, on all lines that have it. The lists, of the
 * port, are appended to. Returns false when no line has the name.
 */
bool hosts_find(const struct hosts *hosts, const char *name, uint16_t port, struct addresses *v6, struct addresses *v4);

#endif
