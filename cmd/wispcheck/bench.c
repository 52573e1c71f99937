#include "bench.h"

#include <stdlib.h>

#include "log.h"

int
bench(const struct bench_options *options)
{
	(void)options;
	log_error("--bench: nothing is measured yet");
	return EXIT_FAILURE;
}
