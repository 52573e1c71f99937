/*
 * Command-line options from one table per program: the table parses them and makes --help, and whatever else has to
 * agree with both.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an option's value is, and the type of the member that takes it. */
enum option_type {
	OPTION_FLAG,    /* bool; no value */
	OPTION_TEXT,    /* const char *; points into the arguments */
	OPTION_LIST,    /* struct option_list; may be given more than once */
	OPTION_LISTEN,  /* the same, of addresses to listen on */
	OPTION_SECONDS, /* uint64_t in milliseconds; fractions are allowed */
	OPTION_COUNT,   /* size_t */
	OPTION_SIZE,    /* size_t in bytes; K, M and G are powers of 1024 */
	OPTION_CHOICE,  /* int; the position in `choices` */
	OPTION_MORE,    /* int; each one adds 1 */
	OPTION_LESS,    /* int; each one takes 1 away */
	OPTION_HELP,    /* print --help and end */
	OPTION_VERSION, /* print --version and end */
};

#define OPTION_LIST_MAX 16

struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t count;
};

struct option_spec {
	const char *group; /* a heading in --help; NULL for the one before */
	const char *name;  /* NULL ends the table */
	char letter;       /* 0 for none */
	enum option_type type;
	size_t offset;        /* of the member in the program's structure of options */
	const char *argument; /* its name in --help, such as "FILE"; NULL for flags */
	const char *help;
	size_t min, max;     /* COUNT, SIZE and SECONDS (in milliseconds) */
	const char *choices; /* CHOICE: separated by "|" */
};

struct program {
	const char *name;
	const char *synopsis; /* what follows the name in the usage line */
	const char *purpose;  /* one sentence */
	const char *operands; /* what stands behind the options, explained in one line; NULL when nothing may */
	const struct option_spec *options;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,  /* --help or --version was served: end with 0 */
	OPTIONS_WRONG, /* said in one line on standard error: end with 2 */
};

/*
 * Read the arguments into `values`. *operand is set to the one argument that is not an option, or NULL. More than one
 * is an error.
 */
enum options_result options_parse(
	const struct program *program, int argc, char **argv, void *values, const char **operand);

/* Say on standard error, in one line, what is wrong with the usage. */
void options_complain(const struct program *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
