#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/stat.h>

#include "json.h"
#include "utf8.h"

#define MESSAGE_SIZE 1024
/* A line of JSON, with what stands around the message. */
#define LINE_SIZE (JSON_GROWTH * MESSAGE_SIZE + 128)

static const struct {
	const char *prefix;   /* of text */
	const char *priority; /* of text in the journal, as in syslog(3) and sd-daemon(3) */
	const char *name;     /* in JSON */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error: ", "<3>", "error"},
	[LOG_LEVEL_WARNING] = {"warning: ", "<4>", "warning"},
	[LOG_LEVEL_INFO] = {"", "<6>", "info"},
	[LOG_LEVEL_DEBUG] = {"debug: ", "<7>", "debug"},
	[LOG_LEVEL_TRACE] = {"trace: ", "<7>", "trace"},
};

static int max_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_TEXT;

void
log_set_level(int level)
{
	max_level = level;
}

int
log_level(void)
{
	return max_level;
}

void
log_set_format(enum log_format format)
{
	line_format = format;
}

void
log_make_printable(char *text)
{
	while (*text != '\0') {
		const size_t size = utf8_size(text);

		if (size == 0 || utf8_is_control(text))
			memset(text, '?', size > 0 ? size : 1);
		text += size > 0 ? size : 1;
	}
}

/* Whether standard error is the journal's. The variable alone does not say it: it is inherited. */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char actual[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(actual, sizeof actual, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, actual) == 0;
}

static size_t
format_text(const char *prefix, char *message, char *line)
{
	log_make_printable(message);
	return (size_t)snprintf(line, LINE_SIZE, "%s%s\n", prefix, message);
}

/* RFC 8259, with the time of RFC 3339. */
static size_t
format_json(enum log_level level, const char *message, char *line)
{
	struct timespec now;
	struct tm utc;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = strftime(line, LINE_SIZE, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &utc);
	n += (size_t)snprintf(line + n, LINE_SIZE - n, ".%03ldZ\",\"level\":\"%s\",\"message\":\"",
		now.tv_nsec / 1000000, levels[level].name);
	n += json_escape(message, line + n);
	n += (size_t)snprintf(line + n, LINE_SIZE - n, "\"}\n");
	return n;
}

/* Write a line with one system call, so that lines of several processes do not mix. */
static void
write_line(enum log_level level, const char *prefix, const char *format, va_list args)
{
	char message[MESSAGE_SIZE];
	char line[LINE_SIZE];
	size_t n;

	if ((int)level > max_level)
		return;
	vsnprintf(message, sizeof message, format, args);
	if (line_format == LOG_FORMAT_JSON)
		n = format_json(level, message, line);
	else
		n = format_text(is_journal() ? levels[level].priority : prefix, message, line);
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* there is nobody left to tell */
}

#define DEFINE_LOG(name, level, prefix)                                                                                \
	void name(const char *format, ...)                                                                             \
	{                                                                                                              \
		va_list args;                                                                                          \
                                                                                                                       \
		va_start(args, format);                                                                                \
		write_line(level, prefix, format, args);                                                               \
		va_end(args);                                                                                          \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR, levels[LOG_LEVEL_ERROR].prefix)
DEFINE_LOG(log_warning, LOG_LEVEL_WARNING, levels[LOG_LEVEL_WARNING].prefix)
DEFINE_LOG(log_info, LOG_LEVEL_INFO, levels[LOG_LEVEL_INFO].prefix)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG, levels[LOG_LEVEL_DEBUG].prefix)
DEFINE_LOG(log_trace, LOG_LEVEL_TRACE, levels[LOG_LEVEL_TRACE].prefix)
DEFINE_LOG(log_usage, LOG_LEVEL_ERROR, "")
