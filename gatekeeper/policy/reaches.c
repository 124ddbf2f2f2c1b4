#include "gatekeeper/policy/reaches.h"

#include <string.h>

#include "gatekeeper/policy/image_format.h"

static bool matches(const struct policy *policy, const struct policy_flow *flow,
		    const struct policy_reach *reach, bool *ret_needs_program)
{
	const struct policy_rule *rule = &policy->rules[reach->rule];

	if (!(reach->protocols & flow->protocol) ||
	    flow->port < reach->port_first || flow->port > reach->port_last ||
	    !policy_rule_counts(policy, reach->rule, flow->now_s, flow->passed))
		return false;
	if (!reach->program.length)
		return true;
	if (!flow->program_known)
		*ret_needs_program = true;
	/*
	 * A program that cannot be found out could be the one that is denied.
	 */
	if (flow->program_known && !flow->program)
		return rule->effect == POLICY_EFFECT_DENY;
	return flow->program &&
	       !strcmp(flow->program, policy_text(policy, reach->program));
}

static void first_of(uint32_t *slot, uint32_t rule)
{
	if (*slot == POLICY_NONE || rule < *slot)
		*slot = rule;
}

struct reaches_found reaches_find(const struct policy *policy,
				  const struct policy_flow *flow,
				  uint32_t first)
{
	struct reaches_found found = {POLICY_NONE, POLICY_NONE, false};

	for (uint32_t i = first; i != POLICY_NONE;
	     i = policy->reaches[i].next) {
		const struct policy_reach *reach = &policy->reaches[i];

		if (!matches(policy, flow, reach, &found.needs_program))
			continue;
		if (policy->rules[reach->rule].effect == POLICY_EFFECT_DENY)
			first_of(&found.deny, reach->rule);
		else
			first_of(&found.allow, reach->rule);
	}
	/* Where a rule denies already, the program need not be looked for. */
	found.needs_program &= found.deny == POLICY_NONE;
	return found;
}
