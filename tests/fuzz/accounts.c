/* Fuzz target: a file of user names and passwords. Those that stand in it can come in, others cannot. */
#include "accounts.h"

#include <stdlib.h>
#include <string.h>

#include "complaints.h"
#include "fuzz.h"

/* Hashing takes its time. */
#define LINES_MAX 20

static void
check_line(const struct accounts *accounts, const char *line, size_t n)
{
	const char *const colon = n > 0 ? memchr(line, ':', n) : NULL;
	size_t user_size, password_size;

	if (n == 0 || line[0] == '#')
		return;
	must(colon != NULL && colon > line);
	user_size = (size_t)(colon - line);
	password_size = n - user_size - 1;
	must(password_size > 0);
	must(accounts_check(accounts, line, user_size, colon + 1, password_size) == WISP_PASSWORD_RIGHT);
	must(accounts_check(accounts, line, 0, colon + 1, password_size) != WISP_PASSWORD_RIGHT);
}

static void
check_lines(const struct accounts *accounts, const char *text, size_t n)
{
	for (int i = 0; i < LINES_MAX && n > 0; i++) {
		const char *const end = memchr(text, '\n', n);
		const size_t size = end != NULL ? (size_t)(end - text) : n;

		check_line(accounts, text, size > 0 && text[size - 1] == '\r' ? size - 1 : size);
		text += end != NULL ? size + 1 : size;
		n -= end != NULL ? size + 1 : size;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fuzz_file file;
	struct accounts *accounts;

	complaints = 0;
	fuzz_file_open(&file, p, n);
	accounts = accounts_read("auth", file.path);
	fuzz_file_close(&file);
	must(complaints == (accounts == NULL));
	if (accounts != NULL)
		check_lines(accounts, (const char *)p, n);
	accounts_free(accounts);
	return 0;
}
