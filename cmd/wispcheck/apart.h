/*
 * Targets in a process of their own, for what is measured: in the tester's they would take its time. The process ends
 * when the tester does.
 */
#ifndef APART_H
#define APART_H

#include <sys/types.h>

#include "target.h"

struct apart {
	struct targets targets; /* of the process: their counts stay 0 */
	pid_t pid;
	int leash; /* a pipe that nothing is written to: when it is closed here, the process ends */
};

/* Start them, on an address of this machine. Returns false when that cannot be: logged. */
bool apart_start(struct apart *apart, const char *host);
void apart_stop(struct apart *apart);

#endif
