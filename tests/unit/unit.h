/* cmocka, with the headers that it wants before it. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"

/* cmocka 2 has two names for assert_in_range(), neither of which there was before. */
#define assert_between(value, least, most) (assert_true((value) >= (least)), assert_true((value) <= (most)))

#endif
