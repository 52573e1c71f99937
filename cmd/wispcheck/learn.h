/* Finding out what a server is, before it is tested: which checks fit it, and why the others do not. */
#ifndef LEARN_H
#define LEARN_H

#include "check.h"

/* Why checks are skipped, in words; "" where they are not. */
struct obstacles {
	char handshake[VERDICT_TEXT_SIZE]; /* there is no handshake: only the checks of that can run */
	char targets[VERDICT_TEXT_SIZE];   /* the TCP targets are not reached */
	char udp[VERDICT_TEXT_SIZE];       /* nor the UDP targets */
};

/*
 * Fill in what the checker says of the server. Takes a few connections. Returns false when there is no connection at
 * all: probe_failure() says why. `obstacles` must outlive the checker.
 */
bool learn(struct checker *checker, struct obstacles *obstacles);

/* Why a check cannot run, or NULL. */
const char *learn_obstacle(const struct checker *checker, const struct obstacles *obstacles, const struct check *check,
	bool is_of_handshake);

#endif
