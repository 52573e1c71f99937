/* Lines and words of the system's files of settings, for those that read them. */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Of longer lines, the rest is dropped. */
#define WORDS_LINE_SIZE 4096

/* Copy the next line of a text of *n bytes, without its end, and go behind it. Returns false when there is none. */
bool words_line(const char **text, size_t *n, char line[WORDS_LINE_SIZE]);

/* The next word of a line, which is cut there; NULL when there is none. */
char *words_next(char **line);

#endif
