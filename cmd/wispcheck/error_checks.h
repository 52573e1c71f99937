/* The checks of frames and of what takes long, for the table of the errors' checks. */
#ifndef ERROR_CHECKS_H
#define ERROR_CHECKS_H

#include "check.h"

/* frame_checks.c */
void check_text(struct checker *checker, struct verdict *verdict);
void check_fragments(struct checker *checker, struct verdict *verdict);
void check_ping(struct checker *checker, struct verdict *verdict);
void check_big_packet(struct checker *checker, struct verdict *verdict);
void check_close_frame(struct checker *checker, struct verdict *verdict);
void check_unmasked(struct checker *checker, struct verdict *verdict);
void check_reserved_bits(struct checker *checker, struct verdict *verdict);
void check_unknown_opcode(struct checker *checker, struct verdict *verdict);
void check_long_control(struct checker *checker, struct verdict *verdict);

#endif
