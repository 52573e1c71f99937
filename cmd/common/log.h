/*
 * The log: one event a line on standard error. Every line goes through here, so that control characters in what comes
 * from outside cannot forge one.
 */
#ifndef LOG_H
#define LOG_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,
};

enum log_format {
	LOG_FORMAT_TEXT, /* with systemd's priorities instead of the levels' names when standard error is the journal */
	LOG_FORMAT_JSON, /* one object a line */
};
/* The formats' names, in the same order. */
#define LOG_FORMATS "text|json"

/* Lines of a higher level than this are dropped. At first, it is INFO. */
void log_set_level(int level);
int log_level(void);

/* At first, it is TEXT. */
void log_set_format(enum log_format format);

/* Put a '?' in the place of each byte of a control character, or of what is not UTF-8, in place. */
void log_make_printable(char *text);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An error of the usage: it begins with the program's name, and not with "error: ". */
void log_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
