/*
 * What a target's code logs as an error, for targets that are linked with --wrap for those functions: it is counted
 * instead of written.
 */
#ifndef COMPLAINTS_H
#define COMPLAINTS_H

/* How many there have been. */
extern unsigned complaints;

#endif
