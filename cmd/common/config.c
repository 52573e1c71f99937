#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "redact.h"
#include "value.h"

#define BLANKS " \t\r"

/* The whole file, whose lines become strings in place. One byte more than is allowed, to see that there is more. */
static char content[CONFIG_SIZE_MAX + 1];

/* Where reading has come to. */
struct reader {
	const struct program *program;
	const char *path;
	unsigned line;
	unsigned seen[OPTIONS_MAX]; /* the line that an option was first seen in */
	void *values;
};

static bool complain(const struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Always false. */
static bool
complain(const struct reader *reader, const char *format, ...)
{
	char text[VALUE_WRONG_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_usage("%s: %.300s:%u: %s; see wispsocks.conf(5)", reader->program->name, reader->path, reader->line, text);
	return false;
}

/* Fill `content`. Returns the size, or -1 with errno. */
static ssize_t
load(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	do {
		n = read(fd, content + size, sizeof content - size);
		if (n > 0)
			size += (size_t)n;
	} while ((n > 0 && size < sizeof content) || (n < 0 && errno == EINTR));
	if (n < 0) {
		const int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	close(fd);
	return (ssize_t)size;
}

static bool
may_stand_in_file(const struct option_spec *option)
{
	switch (option->type) {
	case OPTION_CONFIG:
	case OPTION_HELP:
	case OPTION_VERSION:
	case OPTION_COMPLETION:
		return false;
	default:
		return true;
	}
}

/* Cut what is blank off both ends, in place. */
static char *
trim(char *text)
{
	char *end;

	text += strspn(text, BLANKS);
	for (end = text + strlen(text); end > text && strchr(BLANKS, end[-1]) != NULL; end--)
		end[-1] = '\0';
	return text;
}

/* Set an option. `value` is NULL when there is no "=" behind its name. */
static bool
set(struct reader *reader, const struct option_spec *option, const char *value)
{
	unsigned *seen = &reader->seen[option - reader->program->options];
	char wrong[VALUE_WRONG_SIZE];

	if (!may_stand_in_file(option))
		return complain(reader, "%s has no place in a file", option->name);
	if (*seen != 0 && !value_is_list(option))
		return complain(reader, "%s stands in line %u already", option->name, *seen);
	if (value == NULL && !value_is_optional(option))
		return complain(reader, "%s needs a value: %s = %s", option->name, option->name, option->argument);
	if (!value_set(reader->program, option, value, reader->values, wrong))
		return complain(reader, "%s: %s", option->name, wrong);
	if (*seen == 0)
		*seen = reader->line;
	return true;
}

/* There is no such option. A line without "=" may be a secret, so only its first word is shown. */
static bool
complain_of_name(const struct reader *reader, const char *name)
{
	char shown[REDACT_SIZE];

	snprintf(shown, sizeof shown, "%.*s", (int)strcspn(name, BLANKS ":@"), name);
	if (options_find(reader->program, shown) != NULL)
		return complain(reader, "there is no '=' after %s", shown);
	return complain(reader, "there is no option '%s'", shown);
}

static bool
read_line(struct reader *reader, char *line, size_t size)
{
	const struct option_spec *option;
	char *name, *value;

	if (size > CONFIG_LINE_MAX)
		return complain(reader, "the line is longer than %d bytes", CONFIG_LINE_MAX);
	for (size_t i = 0; i < size; i++)
		if (((unsigned char)line[i] < ' ' && strchr(BLANKS, line[i]) == NULL) || line[i] == '\0' ||
			line[i] == 0x7f)
			return complain(reader, "there is a control character in the line");
	name = trim(line);
	if (*name == '\0' || *name == '#')
		return true;
	value = strchr(name, '=');
	if (value != NULL) {
		*value++ = '\0';
		value = trim(value);
		name = trim(name);
	}
	option = options_find(reader->program, name);
	return option != NULL ? set(reader, option, value) : complain_of_name(reader, name);
}

enum options_result
config_read(const struct program *program, const char *path, void *values)
{
	struct reader reader = {.program = program, .path = path, .values = values};
	const ssize_t size = load(path);
	char *line = content, *end;

	if (size < 0) {
		log_error("cannot read %s: %s; check --config", path, strerror(errno));
		return OPTIONS_FAILED;
	}
	if (size > CONFIG_SIZE_MAX) {
		options_complain(program, "%.300s is larger than %d bytes", path, CONFIG_SIZE_MAX);
		return OPTIONS_WRONG;
	}
	content[size] = '\n'; /* the end of the last line, if it has none */
	for (; line < content + size; line = end + 1) {
		end = memchr(line, '\n', (size_t)(content + size + 1 - line));
		*end = '\0';
		reader.line++;
		if (!read_line(&reader, line, (size_t)(end - line)))
			return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}
