#include "check.h"

const struct check udp_checks[] = {
	{0},
};
