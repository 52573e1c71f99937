/* Completion scripts for shells, made from a program's table of options. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include "options.h"

/* The choices of OPTION_COMPLETION, in the same order. */
#define COMPLETION_SHELLS "bash|zsh|fish"

enum completion_shell {
	COMPLETION_BASH,
	COMPLETION_ZSH,
	COMPLETION_FISH,
};

/* Print the script for a shell. */
void completion_print(const struct program *program, enum completion_shell shell);

#endif
