/*
 * Runs a fuzz target without libFuzzer: over the files that are given as arguments, such as an input that crashed, or
 * over the target's corpus, in the directory of its name below $FUZZ_CORPUS, and a fixed number of random inputs. With
 * libFuzzer this file is left out.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define INPUTS 3000
#define INPUT_MAX 2000
#define PATH_SIZE 4096

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

static bool
run_file(const char *path)
{
	static uint8_t input[1 << 20];
	FILE *const file = fopen(path, "rb");

	if (file == NULL) {
		perror(path);
		return false;
	}
	run(input, fread(input, 1, sizeof input, file));
	fclose(file);
	return true;
}

/* A corpus that is not there is an error: it would be missed by nobody. */
static bool
run_corpus(const char *corpora, const char *target)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	bool good = true;
	int directory_size = snprintf(path, sizeof path, "%s/%s", corpora, target);
	DIR *const directory = opendir(path);

	if (directory == NULL) {
		perror(path);
		return false;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path + directory_size, sizeof path - (size_t)directory_size, "/%s", entry->d_name);
		good &= run_file(path);
	}
	closedir(directory);
	return good;
}

int
main(int argc, char **argv)
{
	const char *const corpora = getenv("FUZZ_CORPUS");
	const char *const slash = strrchr(argv[0], '/');
	bool good = true;

	if (argc < 2 && corpora != NULL)
		good = run_corpus(corpora, slash != NULL ? slash + 1 : argv[0]);
	if (argc < 2)
		run_random();
	for (int i = 1; i < argc; i++)
		good &= run_file(argv[i]);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
