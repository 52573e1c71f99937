#include "check.h"

const struct check credit_checks[] = {
	{0},
};
