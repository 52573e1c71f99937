#include "target.h"

struct targets *
targets_start(struct event_base *base, const char *host, uint16_t base_port)
{
	(void)base, (void)host, (void)base_port;
	return NULL;
}
