/*
 * Runs a fuzz target without libFuzzer: over the files that are given as arguments, such as an input that crashed, or
 * over a fixed number of random inputs. With libFuzzer (clang -fsanitize=fuzzer) this file is left out.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

#define INPUTS 4000
#define INPUT_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
run(const uint8_t *p, size_t n)
{
	uint8_t *const copy = exact_copy(p, n);

	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
run_random(void)
{
	for (unsigned seed = 0; seed < INPUTS; seed++) {
		struct rng rng = rng_seeded(seed);
		uint8_t input[INPUT_MAX];
		const size_t n = rng_below(&rng, sizeof input);

		rng_fill(&rng, input, n);
		/* Small numbers mean more than large ones in most places. */
		for (size_t i = 0; i < n; i++)
			if (rng_chance(&rng, 50))
				input[i] &= 0x0f;
		run(input, n);
	}
}

static int
run_file(const char *path)
{
	static uint8_t input[1 << 20];
	FILE *const file = fopen(path, "rb");

	if (file == NULL) {
		perror(path);
		return 1;
	}
	run(input, fread(input, 1, sizeof input, file));
	fclose(file);
	return 0;
}

int
main(int argc, char **argv)
{
	int failures = 0;

	if (argc < 2)
		run_random();
	for (int i = 1; i < argc; i++)
		failures += run_file(argv[i]);
	return failures > 0;
}
