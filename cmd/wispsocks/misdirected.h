/* Programs that do not speak SOCKS5: who they are by their first byte, and what they are told. For negotiation.c. */
#ifndef MISDIRECTED_H
#define MISDIRECTED_H

#include <stddef.h>
#include <stdint.h>

#define MISDIRECTED_ANSWER_SIZE 1024

/* What a program has to change, for the log; `address` is where it has come to. */
void misdirected_log(uint8_t first, const char *address);

/*
 * Write the answer for a program that begins so. Returns its size; 0 when there is none that it would understand.
 * `address` is as above.
 */
size_t misdirected_answer(uint8_t first, const char *address, char answer[MISDIRECTED_ANSWER_SIZE]);

#endif
