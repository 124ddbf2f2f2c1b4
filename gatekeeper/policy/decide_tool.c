#include "gatekeeper/policy/decide_tool.h"

#include <string.h>

#include "gatekeeper/policy/glob.h"

static bool conditions_hold(const struct policy *policy,
			    const struct policy_tool *tool,
			    const struct policy_call *call)
{
	const struct policy_condition *at =
		policy->conditions + tool->conditions;
	const struct policy_condition *end = at + tool->condition_count;

	if (at < end && !call->holds)
		return false;
	while (at < end) {
		bool negated = at->negated, holds = false, more;

		do {
			holds = holds || call->holds(call->context, policy, at);
			more = at->or_next;
			at++;
		} while (more && at < end);
		if (holds == negated)
			return false;
	}
	return true;
}

static bool matches(const struct policy *policy, const struct policy_tool *tool,
		    const struct policy_call *call, size_t length)
{
	const struct policy_rule *rule = &policy->rules[tool->rule];

	return (!rule->until_s || rule->until_s > call->now_s) &&
	       glob_match(policy_text(policy, tool->pattern),
			  tool->pattern.length, call->tool, length) &&
	       conditions_hold(policy, tool, call);
}

void policy_decide_tool(const struct policy *policy,
			const struct policy_call *call,
			struct policy_answer *ret, uint32_t *ret_tool)
{
	const struct policy_account *account = &policy->accounts[call->account];
	size_t length = strlen(call->tool);
	uint32_t best = POLICY_NONE;

	*ret_tool = POLICY_NONE;
	*ret = (struct policy_answer){
		.verdict = (enum policy_verdict)account->tools_default,
		.reason = POLICY_REASON_DEFAULT,
		.rule = POLICY_NONE,
		.log = true,
	};
	for (uint32_t i = account->tools; i != POLICY_NONE;
	     i = policy->tools[i].next) {
		const struct policy_tool *tool = &policy->tools[i];
		bool denies =
			policy->rules[tool->rule].effect == POLICY_EFFECT_DENY;

		if (!matches(policy, tool, call, length))
			continue;
		if (denies) {
			best = i;
			break;
		}
		if (best == POLICY_NONE ||
		    tool->pattern.length >= policy->tools[best].pattern.length)
			best = i;
	}
	if (best != POLICY_NONE) {
		const struct policy_rule *rule =
			&policy->rules[policy->tools[best].rule];
		bool denies = rule->effect == POLICY_EFFECT_DENY;

		ret->verdict = denies ? POLICY_DENY : POLICY_ALLOW;
		ret->reason = POLICY_REASON_RULE;
		ret->rule = policy->tools[best].rule;
		ret->log = denies || !rule->quiet;
		*ret_tool = denies ? POLICY_NONE : best;
	}
	policy_observe(policy, call->account, ret);
}

/* A denial with conditions may leave some calls, an allowance allow some. */
bool policy_offers_tool(const struct policy *policy, uint32_t account,
			const char *tool, int64_t now_s)
{
	const struct policy_account *entry = &policy->accounts[account];
	bool offered = entry->tools_default == POLICY_ALLOW;
	bool observes = policy_is_observed(policy, account);
	size_t length = strlen(tool);

	for (uint32_t i = entry->tools; i != POLICY_NONE && !observes;
	     i = policy->tools[i].next) {
		const struct policy_tool *one = &policy->tools[i];
		const struct policy_rule *rule = &policy->rules[one->rule];

		if ((rule->until_s && rule->until_s <= now_s) ||
		    !glob_match(policy_text(policy, one->pattern),
				one->pattern.length, tool, length))
			continue;
		if (rule->effect != POLICY_EFFECT_DENY)
			offered = true;
		else if (!one->condition_count && !rule->observe)
			return false;
	}
	return offered || observes;
}
