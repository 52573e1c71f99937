/* The value of an option, from text to the member of the program's settings: the same for arguments and files. */
#ifndef VALUE_H
#define VALUE_H

#include "options.h"

/* Room for what value_set() says. */
#define VALUE_WRONG_SIZE 512

/* Whether the option may be given more than once. */
bool value_is_list(const struct option_spec *option);

/* Whether a value adds to the ones before it, instead of taking their place. */
bool value_adds(const struct option_spec *option);

/* Whether the option can do without a value. */
bool value_is_optional(const struct option_spec *option);

/* Whether the option accepts an empty value, for example to mean "none". */
bool value_may_be_empty(const struct option_spec *option);

/* Find `text` among the option's choices. Returns false when it is none. */
bool value_choice(const struct option_spec *option, const char *text, int *position);

/*
 * Set the member of `values`, which points to `text` from then on where the type is a text. `text` is NULL when there
 * is no value. Returns false, with what is wrong with it, when it cannot be.
 */
bool value_set(const struct program *program, const struct option_spec *option, const char *text, void *values,
	char wrong[VALUE_WRONG_SIZE]);

/* Put a text into a list, behind the first `before` that are in it. */
bool value_insert(const struct program *program, const struct option_spec *option, const char *text, size_t before,
	void *values, char wrong[VALUE_WRONG_SIZE]);

/* Take away what was added to the member of an option whose values add. */
void value_reset(const struct option_spec *option, void *values);

#endif
