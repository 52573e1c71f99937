/*
 * The names in /etc/hosts. The file's text is kept, with an index of its names, so that a name is found at once however
 * long the file is. The text comes in pieces, so that reading a long file does not block the event loop.
 */
#ifndef HOSTS_H
#define HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addresses.h"

/* The rest of a longer file is ignored. */
#define HOSTS_TEXT_MAX ((size_t)16 << 20)

struct hosts;

/* NULL without memory. `expected` is a hint: the size of the text. */
struct hosts *hosts_new(size_t expected);
void hosts_free(struct hosts *hosts);

/*
 * Append a piece of the text; n is 0 at its end. Returns false when memory is out or the text is too long: what was
 * taken before stays usable.
 */
bool hosts_add(struct hosts *hosts, const char *text, size_t n);

/*
 * Find the addresses of a name on all lines that have it, ignoring case and a final dot. Append them to the lists, with
 * the port. Returns false when no line has the name.
 */
bool hosts_find(const struct hosts *hosts, const char *name, uint16_t port, struct addresses *v6, struct addresses *v4);

#endif
