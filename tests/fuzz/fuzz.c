#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

void
fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, what);
	abort();
}

unsigned
input_byte(struct input *input)
{
	if (input->n == 0)
		return 0;
	input->n--;
	return *input->p++;
}

const uint8_t *
input_bytes(struct input *input, size_t *n)
{
	const uint8_t *const p = input->p;

	if (*n > input->n)
		*n = input->n;
	input->p += *n;
	input->n -= *n;
	return p;
}

char *
input_text(struct input *input)
{
	const uint8_t *const end = input->n > 0 ? memchr(input->p, '\0', input->n) : NULL;
	size_t n = end != NULL ? (size_t)(end - input->p) : input->n;
	const uint8_t *const p = input_bytes(input, &n);
	char *const text = malloc(n + 1);

	must(text != NULL);
	if (n > 0)
		memcpy(text, p, n);
	text[n] = '\0';
	input_byte(input);
	return text;
}

void
fuzz_file_open(struct fuzz_file *file, const uint8_t *p, size_t n)
{
	file->fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(file->fd >= 0 && fchmod(file->fd, S_IRUSR | S_IWUSR) == 0);
	must(n == 0 || write(file->fd, p, n) == (ssize_t)n);
	snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
}

void
fuzz_file_close(struct fuzz_file *file)
{
	close(file->fd);
}
