#include "check.h"

const struct check handshake_checks[] = {
	{0},
};
