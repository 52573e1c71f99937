/* Why a connection, or an attempt at one, is over, and whether trying again can help. */
#ifndef FAILURE_H
#define FAILURE_H

#include <stdbool.h>

/* From mild to hopeless. */
enum failure_kind {
	FAILURE_NONE,
	FAILURE_PASSING,  /* it may go away by itself */
	FAILURE_LASTING,  /* it does not go away by itself, but another address of the server may do better */
	FAILURE_ANSWERED, /* the server itself has said no */
};

struct failure {
	enum failure_kind kind;
	bool answered; /* the server answered, and the answer was the failure */
	char reason[512];
};

/* Remember why it is over. The first reason is the one that counts. */
void failure_set(struct failure *failure, enum failure_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Merge the failure of another attempt into `worst`: the less hopeful one is kept. Of two equal ones, an answer wins
 * over silence, and otherwise the later one wins.
 */
void failure_merge(struct failure *worst, const struct failure *failure);

void failure_clear(struct failure *failure);

#endif
