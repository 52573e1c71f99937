/* What --help prints. */
#ifndef HELP_H
#define HELP_H

#include "options.h"

void help_print(const struct program *program);

#endif
