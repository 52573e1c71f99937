/* Fuzz target: the session of a client, with a hostile server at the other end. */
#include "hostile.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hostile_run(true, p, n);
	return 0;
}
