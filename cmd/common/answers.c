#include "answers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sys/queue.h>
#include <sys/tree.h>

struct kept {
	RB_ENTRY(kept) by_name;
	TAILQ_ENTRY(kept) by_age;
	enum dns_type type;
	uint64_t end_ms;
	struct dns_answer answer;
	const char *name; /* stored behind the structure, except in a search key */
};

RB_HEAD(kept_tree, kept);

struct answers {
	struct kept_tree tree;
	TAILQ_HEAD(kept_list, kept) list; /* the oldest is the first */
	size_t count;
};

static int
compare_kept(const struct kept *a, const struct kept *b)
{
	return a->type != b->type ? (int)a->type - (int)b->type : strcasecmp(a->name, b->name);
}

/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyzer cannot see that a node was removed before it was freed */
RB_GENERATE_INTERNAL(kept_tree, kept, by_name, compare_kept, static __attribute__((unused)))

struct answers *
answers_new(void)
{
	struct answers *answers = calloc(1, sizeof *answers);

	if (answers == NULL)
		return NULL;
	RB_INIT(&answers->tree);
	TAILQ_INIT(&answers->list);
	return answers;
}

static void
forget_kept(struct answers *answers, struct kept *kept)
{
	RB_REMOVE(kept_tree, &answers->tree, kept);
	TAILQ_REMOVE(&answers->list, kept, by_age);
	answers->count--;
	free(kept);
}

void
answers_clear(struct answers *answers)
{
	struct kept *kept;

	while ((kept = TAILQ_FIRST(&answers->list)) != NULL)
		forget_kept(answers, kept);
}

void
answers_free(struct answers *answers)
{
	if (answers != NULL)
		answers_clear(answers);
	free(answers);
}

static struct kept *
find_kept(struct answers *answers, const char *name, enum dns_type type)
{
	struct kept key = {.type = type, .name = name};

	return RB_FIND(kept_tree, &answers->tree, &key);
}

const struct dns_answer *
answers_find(struct answers *answers, const char *name, enum dns_type type, uint64_t now_ms)
{
	struct kept *kept = find_kept(answers, name, type);

	if (kept != NULL && kept->end_ms <= now_ms) {
		forget_kept(answers, kept);
		kept = NULL;
	}
	return kept != NULL ? &kept->answer : NULL;
}

/* How long to keep an answer. Refusals, and queries that could not be sent, may succeed at once the next time. */
static uint64_t
time_of(const struct dns_answer *answer)
{
	const uint64_t ttl_ms = (uint64_t)answer->ttl_s * 1000;

	switch (answer->result) {
	case DNS_FOUND:
		return ttl_ms < ANSWERS_TTL_MAX_MS ? ttl_ms : ANSWERS_TTL_MAX_MS;
	case DNS_NO_DATA:
		/* Without an authority section, the server may just not know the name (RFC 2308 section 2.2). */
		return answer->ttl_s > 0 ? ANSWERS_FAILURE_MS : 0;
	case DNS_NO_NAME:
	case DNS_SERVER_FAILED:
	case DNS_SILENT:
		return ANSWERS_FAILURE_MS;
	case DNS_BAD_FORM:
	case DNS_REFUSED:
	case DNS_ENDED:
		break;
	}
	return 0;
}

void
answers_keep(
	struct answers *answers, const char *name, enum dns_type type, const struct dns_answer *answer, uint64_t now_ms)
{
	const size_t size = strlen(name) + 1;
	struct kept *kept = find_kept(answers, name, type);

	if (kept != NULL)
		forget_kept(answers, kept);
	if (time_of(answer) == 0)
		return;
	if (answers->count == ANSWERS_MAX)
		forget_kept(answers, TAILQ_FIRST(&answers->list));
	kept = malloc(sizeof *kept + size);
	if (kept == NULL)
		return;
	kept->type = type;
	kept->end_ms = now_ms + time_of(answer);
	kept->answer = *answer;
	kept->name = memcpy(kept + 1, name, size);
	RB_INSERT(kept_tree, &answers->tree, kept);
	TAILQ_INSERT_TAIL(&answers->list, kept, by_age);
	answers->count++;
}
