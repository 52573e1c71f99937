/*
 * Recognizes programs that do not speak SOCKS5, by their first byte, and tells them what to change. For negotiation.c.
 */
#ifndef MISDIRECTED_H
#define MISDIRECTED_H

#include <stddef.h>
#include <stdint.h>

#define MISDIRECTED_ANSWER_SIZE 1024

/* Log what to change in the program; `address` is the listener that it connected to. */
void misdirected_log(uint8_t first, const char *address);

/*
 * Write an answer for a program with this first byte. Returns its size; 0 when there is no answer that it would
 * understand. `address` is as above.
 */
size_t misdirected_answer(uint8_t first, const char *address, char answer[MISDIRECTED_ANSWER_SIZE]);

#endif
