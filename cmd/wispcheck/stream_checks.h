/* The checks of how a stream ends, for the table of the streams' checks. */
#ifndef STREAM_CHECKS_H
#define STREAM_CHECKS_H

#include "check.h"

/* stream_end_checks.c */
void check_far_end_closes(struct checker *checker, struct verdict *verdict);
void check_far_end_closes_slow_reader(struct checker *checker, struct verdict *verdict);
void check_close_reaches_far_end(struct checker *checker, struct verdict *verdict);
void check_close_stops_far_end(struct checker *checker, struct verdict *verdict);
void check_close_unanswered(struct checker *checker, struct verdict *verdict);

#endif
