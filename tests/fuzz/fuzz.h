/*
 * What the fuzz targets share. A target is a file with a LLVMFuzzerTestOneInput(), which libFuzzer calls, or AFL++, or
 * without either the main function in replay.c.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What must be so whatever the input is. */
#define must(holds) ((holds) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #holds))
void fuzz_fail(const char *file, int line, const char *what) __attribute__((noreturn));

/* ---- an input that is taken a bit at a time ---- */

struct input {
	const uint8_t *p; /* what is left of it */
	size_t n;
};

/* The next byte; 0 when there is none left. */
unsigned input_byte(struct input *input);

/* The next bytes, *n at the most; *n becomes what there is. */
const uint8_t *input_bytes(struct input *input, size_t *n);

/* What is before the next NUL, or all that is left, as a string in a block of just that size. To be freed. */
char *input_text(struct input *input);

/* ---- an input that is a file ---- */

struct fuzz_file {
	int fd;
	char path[32];
};

/* A file in memory, which only we can read. To be closed. */
void fuzz_file_open(struct fuzz_file *file, const uint8_t *p, size_t n);
void fuzz_file_close(struct fuzz_file *file);

#endif
