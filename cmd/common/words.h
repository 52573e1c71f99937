/* Splits the text of system settings files into lines and words. */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The rest of a longer line is dropped. */
#define WORDS_LINE_SIZE 4096

/* Copy the next line of a text of *n bytes, without its newline, and advance past it. Returns false at the end. */
bool words_line(const char **text, size_t *n, char line[WORDS_LINE_SIZE]);

/* Cut the next word off a line and return it; NULL when there is none. */
char *words_next(char **line);

#endif
