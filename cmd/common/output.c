#include "output.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"

/* The errno of the failed write is lost by now. */
static bool
is_reader_gone(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&output, 1, 0) == 1 && (output.revents & (POLLERR | POLLHUP));
}

enum output_result
output_finish(void)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return OUTPUT_WRITTEN;
	if (is_reader_gone())
		return OUTPUT_UNWANTED;
	log_error("cannot write to standard output");
	return OUTPUT_FAILED;
}
