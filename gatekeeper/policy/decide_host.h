#pragma once

/*
 * decide_host - what the rules say of a name
 *
 * A name's own rules come before those of `*.` the names above it, and a
 * longer one of these before a shorter.  At one level, deny wins.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/host_name.h"
#include "gatekeeper/policy/reaches.h"

/* The rules of the most specific level that has any which match flow. */
struct reaches_found decide_host_find(const struct policy *policy,
				      const struct policy_flow *flow,
				      const char *name);

/*
 * May the account ask a resolver about name (NULL: an odd one)?  Only if some
 * rule could allow it, on whatever port.
 */
void policy_decide_question(const struct policy *policy, uint32_t account,
			    const char *name, int64_t now_s,
			    struct policy_answer *ret);
