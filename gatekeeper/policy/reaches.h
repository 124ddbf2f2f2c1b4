#pragma once

/*
 * reaches - the rules of one network or one name
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/policy/flow.h"

struct reaches_found {
	uint32_t deny; /* the first rule that does, or POLICY_NONE */
	uint32_t allow;
	bool needs_program; /* one that asks for a program might match */
};

/* Those of the list that match flow. */
struct reaches_found reaches_find(const struct policy *policy,
				  const struct policy_flow *flow,
				  uint32_t first);
