#include "check.h"

const struct check error_checks[] = {
	{0},
};
