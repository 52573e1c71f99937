/*
 * A version 2 handshake taken step by step: the server's INFO, looked at before it is answered with whatever a check
 * wants to answer. Other checks leave this to probe_greet().
 */
#ifndef GREETING_H
#define GREETING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wisp/handshake.h>

#include "check.h"

struct greeting {
	uint8_t info[WISP_PAYLOAD_MAX]; /* the server's, from its version on */
	size_t size;
};

/*
 * Offer version 2 and take the server's INFO, which has its two bytes of version at the least. Fails the verdict when
 * something else comes.
 */
bool greeting_begin(struct checker *checker, struct verdict *verdict, struct greeting *greeting);

/* The same for checks that have no credentials to show: they are skipped at a server that requires some. */
bool greeting_begin_open(struct checker *checker, struct verdict *verdict, struct greeting *greeting);

/* Find an extension in the server's INFO. */
bool greeting_find(const struct greeting *greeting, enum wisp_extension_id id, struct wisp_extension *extension);

/* Whether it says that credentials are asked for, and whether that they are required. */
bool greeting_asks(const struct greeting *greeting);
bool greeting_requires(const struct greeting *greeting);

/* Answer with an INFO of version 2.0 and these extensions. */
void greeting_answer(struct checker *checker, const struct wisp_extension *extensions, size_t count);

#endif
