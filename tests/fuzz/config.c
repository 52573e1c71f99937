/* Fuzz target: a configuration file. It is taken, or one complaint says why not; what was taken is in range. */
#include <string.h>

#include "complaints.h"
#include "config.h"
#include "fuzz.h"
#include "log.h"
#include "options.h"
#include "url.h"

struct values {
	bool flag;
	const char *text;
	struct option_list servers;
	struct option_list listen;
	uint64_t time_ms;
	size_t count;
	size_t size;
	int choice;
	int verbosity;
};

#define TIME_MIN_MS 100
#define TIME_MAX_MS (3600 * 1000)
#define COUNT_MAX 65536
#define SIZE_MIN 65536
#define SIZE_LARGEST (UINT64_C(1) << 40)

#define VALUE(member) offsetof(struct values, member)

/* One of each kind. */
static const struct option_spec option_table[] = {
	{"All", "flag", 'f', OPTION_FLAG, VALUE(flag), NULL, "", 0, 0, NULL},
	{NULL, "text", 0, OPTION_TEXT, VALUE(text), "TEXT", "", 0, 0, NULL},
	{NULL, "server", 0, OPTION_LIST, VALUE(servers), "URL", "", 0, 0, NULL},
	{NULL, "listen", 'l', OPTION_LISTEN, VALUE(listen), "ADDR", "", 0, 0, NULL},
	{NULL, "time", 0, OPTION_SECONDS, VALUE(time_ms), "SECONDS", "", TIME_MIN_MS, TIME_MAX_MS, NULL},
	{NULL, "count", 0, OPTION_COUNT, VALUE(count), "N", "", 1, COUNT_MAX, NULL},
	{NULL, "size", 0, OPTION_SIZE, VALUE(size), "SIZE", "", SIZE_MIN, SIZE_LARGEST, NULL},
	{NULL, "choice", 0, OPTION_CHOICE, VALUE(choice), "1|2|auto", "", 0, 0, "auto|1|2"},
	{NULL, "config", 'c', OPTION_CONFIG, 0, "FILE", "", 0, 0, NULL},
	{NULL, "verbose", 'v', OPTION_MORE, VALUE(verbosity), NULL, "", 0, 0, NULL},
	{NULL, "quiet", 'q', OPTION_LESS, VALUE(verbosity), NULL, "", 0, 0, NULL},
	{NULL, "log-format", 0, OPTION_LOG_FORMAT, 0, "FORMAT", "", 0, 0, LOG_FORMATS},
	{NULL, "help", 'h', OPTION_HELP, 0, NULL, "", 0, 0, NULL},
	{0},
};

static const char *
check_value(const struct option_spec *option, const char *text)
{
	struct url url;

	return strcmp(option->name, "server") == 0 ? url_parse(text, &url) : NULL;
}

static const struct program program = {
	.name = "fuzz",
	.operand_option = "server",
	.options = option_table,
	.check = check_value,
};

static void
check_list(const struct option_list *list)
{
	must(list->count <= OPTION_LIST_MAX);
	for (size_t i = 0; i < list->count; i++)
		must(strlen(list->items[i]) > 0 && strlen(list->items[i]) < CONFIG_LINE_MAX);
}

static void
check_values(const struct values *values)
{
	must(values->text == NULL || values->text[0] != '\0');
	check_list(&values->servers);
	check_list(&values->listen);
	must(values->time_ms == 0 || (values->time_ms >= TIME_MIN_MS && values->time_ms <= TIME_MAX_MS));
	must(values->count <= COUNT_MAX);
	must(values->size == 0 || (values->size >= SIZE_MIN && values->size <= SIZE_LARGEST));
	must(values->choice >= 0 && values->choice <= 2);
	must(values->verbosity >= -9 && values->verbosity <= 9);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct fuzz_file file;
	struct values values = {0};
	enum options_result result;

	complaints = 0;
	fuzz_file_open(&file, p, n);
	result = options_parse(&program, 3, (char *[]){"fuzz", "--config", file.path, NULL}, &values);
	fuzz_file_close(&file);
	must(result == OPTIONS_RUN || result == OPTIONS_WRONG);
	must(complaints == (result == OPTIONS_WRONG));
	if (result == OPTIONS_RUN)
		check_values(&values);
	return 0;
}
