#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SIZE 1024

static int level = LOG_LEVEL_INFO;

void
log_set_level(int new_level)
{
	level = new_level;
}

int
log_level(void)
{
	return level;
}

void
log_make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* Write a line with one system call, so that lines of several processes do not mix. */
static void
write_line(enum log_level line_level, const char *format, va_list args)
{
	static const char *const prefixes[] = {"error: ", "warning: ", "", "debug: ", "trace: "};
	char line[LINE_MAX_SIZE];
	size_t n;

	if ((int)line_level > level)
		return;
	n = (size_t)snprintf(line, sizeof line, "%s", prefixes[line_level]);
	vsnprintf(line + n, sizeof line - n - 1, format, args);
	log_make_printable(line);
	n = strlen(line);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* there is nobody left to tell */
}

#define DEFINE_LOG(name, line_level)                                                                                   \
	void name(const char *format, ...)                                                                             \
	{                                                                                                              \
		va_list args;                                                                                          \
                                                                                                                       \
		va_start(args, format);                                                                                \
		write_line(line_level, format, args);                                                                  \
		va_end(args);                                                                                          \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
DEFINE_LOG(log_trace, LOG_LEVEL_TRACE)
