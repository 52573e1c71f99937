/*
 * The options of a program, from one table: it reads the command line and the configuration file, and makes --help, the
 * shells' completions and whatever else has to agree with them.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* What an option's value is, and the type of the member that takes it. */
enum option_type {
	OPTION_FLAG,    /* bool; yes or no, yes where there is no value */
	OPTION_TEXT,    /* const char *; points into the arguments, or into what was read of the file */
	OPTION_MESSAGE, /* the same; may be empty */
	OPTION_PROXY,   /* the same, a proxy's URL; empty for none. Errors do not quote it: it may contain a password */
	OPTION_LIST,    /* struct option_list; may be given more than once */
	OPTION_LISTEN,  /* the same, of addresses to listen on */
	OPTION_SECONDS, /* uint64_t in milliseconds; fractions are allowed */
	OPTION_COUNT,   /* size_t */
	OPTION_SIZE,    /* size_t in bytes; K, M and G are powers of 1024 */
	OPTION_CHOICE,  /* int; the position in `choices` */
	OPTION_MORE,    /* int; each one adds 1, or the number that is its value */
	OPTION_LESS,    /* int; each one takes that away */
	OPTION_LOG_FORMAT, /* no member; `choices` in the order of enum log_format. In force at once */
	OPTION_CONFIG,     /* no member; the configuration file to read. Not in a file */
	OPTION_HELP,       /* no member; print --help and end. Not in a file */
	OPTION_VERSION,    /* no member; print --version and end. Not in a file */
	OPTION_COMPLETION, /* no member; print a completion script and end. Not in a file */
};

#define OPTION_LIST_MAX 16
/* How many options a program may have. */
#define OPTIONS_MAX 64

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
	const char *argument; /* its name in --help; NULL for flags. The shells complete files for "FILE" */
	const char *help;     /* ends in the default, if there is one, in parentheses */
	uint64_t min, max;    /* COUNT, SIZE and SECONDS (in milliseconds); also limited by what a size_t can hold */
	const char *choices;  /* CHOICE and its like: separated by "|" */
};

/* Another name of an option, such as an old one. It works, but --help does not list it. */
struct option_alias {
	const char *name;   /* NULL ends the list */
	const char *option; /* the option's name */
	bool used;          /* set when the user gave it */
};
#define ALIASES_MAX 4

struct program {
	const char *name;
	const char *synopsis;       /* what follows the name in the usage line */
	const char *purpose;        /* one sentence */
	const char *operands;       /* what stands behind the options, explained in one line; NULL when nothing may */
	const char *operand_option; /* the LIST that they are put in front of */
	int operand_max;            /* how many there may be */
	const struct option_spec *options;
	struct option_alias *aliases; /* NULL for none */
	/* What is wrong with a value, or NULL: for what the type alone does not say. NULL when there is no such thing.
	 */
	const char *(*check)(const struct option_spec *option, const char *text);
};

/* What came of the options; all but RUN are exit codes. */
enum options_result {
	OPTIONS_RUN = -1,
	OPTIONS_DONE = EXIT_SUCCESS,   /* --help or the like was served */
	OPTIONS_FAILED = EXIT_FAILURE, /* a file cannot be read, or output not written: said */
	OPTIONS_WRONG = 2,             /* wrong usage: said */
};

/*
 * Read the arguments, and the file that --config names, into `values`. What the command line says takes the place of
 * what the file says.
 */
enum options_result options_parse(const struct program *program, int argc, char **argv, void *values);

/* Find an option by its name or an alias; NULL when there is none. */
const struct option_spec *options_find(const struct program *program, const char *name);

/* Say, in one line, what is wrong with the usage. */
void options_complain(const struct program *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
