/* The configuration file: lines of NAME = VALUE, under the options' long names. wispsocks.conf(5) describes it. */
#ifndef CONFIG_H
#define CONFIG_H

#include "options.h"

/* The largest file, and the longest line, in bytes. */
#define CONFIG_SIZE_MAX 65536
#define CONFIG_LINE_MAX 4096

/*
 * Read the file at `path` into `values`. What it says stays in memory of its own, so that values can point there; it is
 * for one file per process. What is wrong is said, with the file's name and the line's number.
 */
enum options_result config_read(const struct program *program, const char *path, void *values);

#endif
