/* Fuzz target: the session of a server, with a hostile client at the other end. */
#include "hostile.h"

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	hostile_run(false, p, n);
	return 0;
}
