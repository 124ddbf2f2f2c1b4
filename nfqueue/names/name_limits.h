#pragma once

/*
 * name_limits - how many different names an account may ask for below one rule
 *
 * What stands before a `*.` rule's name goes to whoever serves that name, so a
 * stream of different names carries something out.  Counted by the minute, for
 * each account and rule; a name asked again counts once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct name_limits;

MUST_CHECK int name_limits_new(struct name_limits **ret);
struct name_limits *name_limits_free(struct name_limits *limits);
DEFINE_CLEANUP(struct name_limits *, name_limits_free)

/* May uid ask for name below rule, if no more than most are allowed? */
bool name_limits_take(struct name_limits *limits, uint32_t uid, uint32_t rule,
		      const char *name, uint32_t most, int64_t now_s);
