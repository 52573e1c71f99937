#include "hosts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#define SPACE " \t\r\v\f"
#define NAMES_MIN 64 /* a power of 2 */
#define NAMES_MAX ((size_t)1 << 20)
/* Lines with one name, as far as they are looked at. */
#define LINES_MAX 64

/* A name on a line. Both are positions in the text, where words are ended by NUL. */
struct entry {
	uint32_t name;
	uint32_t address;
	uint32_t next; /* the next one of the bucket, plus 1; 0 when there is none */
};

struct hosts {
	char *text;
	size_t size;
	size_t capacity;
	size_t line; /* where the line begins that is not complete yet */
	struct entry *entries;
	size_t entry_count;
	size_t entry_capacity;
	uint32_t *buckets; /* the first entry of each, plus 1; as many as entry_capacity, a power of 2 */
};

struct hosts *
hosts_new(size_t expected)
{
	struct hosts *hosts = calloc(1, sizeof *hosts);

	if (hosts == NULL)
		return NULL;
	hosts->capacity = (expected < HOSTS_TEXT_MAX ? expected : HOSTS_TEXT_MAX) + 1;
	hosts->entry_capacity = NAMES_MIN;
	hosts->text = malloc(hosts->capacity);
	hosts->entries = calloc(hosts->entry_capacity, sizeof *hosts->entries);
	hosts->buckets = calloc(hosts->entry_capacity, sizeof *hosts->buckets);
	if (hosts->text != NULL && hosts->entries != NULL && hosts->buckets != NULL)
		return hosts;
	hosts_free(hosts);
	return NULL;
}

void
hosts_free(struct hosts *hosts)
{
	if (hosts == NULL)
		return;
	free(hosts->text);
	free(hosts->entries);
	free(hosts->buckets);
	free(hosts);
}

/* FNV-1a, of the name in lower case. */
static uint32_t
hash_name(const char *name, size_t size)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < size; i++) {
		const unsigned char c = (unsigned char)name[i];

		hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c)) * 16777619U;
	}
	return hash;
}

/* The size of a name without its final dot. */
static size_t
name_size(const char *name)
{
	const size_t size = strlen(name);

	return size > 1 && name[size - 1] == '.' ? size - 1 : size;
}

static void
put_into_bucket(struct hosts *hosts, size_t i)
{
	const char *name = hosts->text + hosts->entries[i].name;
	uint32_t *bucket = &hosts->buckets[hash_name(name, name_size(name)) & (hosts->entry_capacity - 1)];

	hosts->entries[i].next = *bucket;
	*bucket = (uint32_t)i + 1;
}

static bool
grow_entries(struct hosts *hosts)
{
	const size_t capacity = hosts->entry_capacity * 2;
	struct entry *entries = realloc(hosts->entries, capacity * sizeof *entries);
	uint32_t *buckets;

	if (entries == NULL)
		return false;
	hosts->entries = entries;
	buckets = calloc(capacity, sizeof *buckets);
	if (buckets == NULL)
		return false;
	free(hosts->buckets);
	hosts->buckets = buckets;
	hosts->entry_capacity = capacity;
	for (size_t i = 0; i < hosts->entry_count; i++)
		put_into_bucket(hosts, i);
	return true;
}

static bool
add_entry(struct hosts *hosts, const char *name, const char *address)
{
	struct entry *entry;

	if (hosts->entry_count == NAMES_MAX || (hosts->entry_count == hosts->entry_capacity && !grow_entries(hosts)))
		return false;
	entry = &hosts->entries[hosts->entry_count];
	entry->name = (uint32_t)(name - hosts->text);
	entry->address = (uint32_t)(address - hosts->text);
	put_into_bucket(hosts, hosts->entry_count++);
	return true;
}

/* The line ends with NUL, and is cut into words. */
static bool
index_line(struct hosts *hosts, char *line)
{
	const char *address = NULL;
	char *word;

	line[strcspn(line, "#")] = '\0';
	while ((word = strsep(&line, SPACE)) != NULL) {
		if (*word == '\0')
			continue;
		if (address == NULL)
			address = word;
		else if (!add_entry(hosts, word, address))
			return false;
	}
	return true;
}

static bool
grow_text(struct hosts *hosts, size_t n)
{
	size_t capacity = hosts->capacity;
	char *text;

	if (n > HOSTS_TEXT_MAX - hosts->size)
		return false;
	if (hosts->size + n < capacity)
		return true;
	while (hosts->size + n >= capacity)
		capacity *= 2;
	text = realloc(hosts->text, capacity);
	if (text == NULL)
		return false;
	hosts->text = text;
	hosts->capacity = capacity;
	return true;
}

bool
hosts_add(struct hosts *hosts, const char *text, size_t n)
{
	size_t seen = hosts->size;
	char *end;

	if (!grow_text(hosts, n))
		return false;
	memcpy(hosts->text + hosts->size, text, n);
	hosts->size += n;
	if (n == 0) {
		hosts->text[hosts->size] = '\0';
		return index_line(hosts, hosts->text + hosts->line);
	}
	while ((end = memchr(hosts->text + seen, '\n', hosts->size - seen)) != NULL) {
		*end = '\0';
		if (!index_line(hosts, hosts->text + hosts->line))
			return false;
		hosts->line = seen = (size_t)(end + 1 - hosts->text);
	}
	return true;
}

static void
add_address(const char *text, uint16_t port, struct addresses *v6, struct addresses *v4)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		addresses_add(v4, (const struct sockaddr *)&in, sizeof in);
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		addresses_add(v6, (const struct sockaddr *)&in6, sizeof in6);
}

bool
hosts_find(const struct hosts *hosts, const char *name, uint16_t port, struct addresses *v6, struct addresses *v4)
{
	const size_t size = name_size(name);
	const size_t before = v6->count + v4->count;
	const struct entry *found[LINES_MAX];
	size_t count = 0;

	for (uint32_t i = hosts->buckets[hash_name(name, size) & (hosts->entry_capacity - 1)];
		i > 0 && count < LINES_MAX; i = hosts->entries[i - 1].next) {
		const char *other = hosts->text + hosts->entries[i - 1].name;

		if (name_size(other) == size && strncasecmp(other, name, size) == 0)
			found[count++] = &hosts->entries[i - 1];
	}
	/* The last line is the first in the bucket. */
	while (count > 0)
		add_address(hosts->text + found[--count]->address, port, v6, v4);
	return v6->count + v4->count > before;
}
