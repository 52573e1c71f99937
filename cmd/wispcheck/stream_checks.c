#include "check.h"

const struct check stream_checks[] = {
	{0},
};
