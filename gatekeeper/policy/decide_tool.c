#include "gatekeeper/policy/decide_tool.h"

#include <string.h>

#include "gatekeeper/policy/glob.h"
#include "gatekeeper/policy/image_format.h"

/* Any of those joined by `or_next`; *at is the one behind them afterwards. */
static enum policy_holds any_holds(const struct policy *policy,
				   const struct policy_condition **at,
				   const struct policy_condition *end,
				   const struct policy_call *call)
{
	enum policy_holds any = POLICY_HOLDS_NOT;
	bool more;

	do {
		enum policy_holds one =
			any == POLICY_HOLDS
				? POLICY_HOLDS
				: call->holds(call->context, policy, *at);

		if (one != POLICY_HOLDS_NOT)
			any = one;
		more = (*at)->or_next;
		(*at)++;
	} while (more && *at < end);
	return any;
}

/*
 * Do all of a rule's conditions hold?  If one does not, the rule does not, even
 * where another cannot be told.
 */
static enum policy_holds conditions_hold(const struct policy *policy,
					 const struct policy_tool *tool,
					 const struct policy_call *call)
{
	const struct policy_condition *at =
		policy->conditions + tool->conditions;
	const struct policy_condition *end = at + tool->condition_count;
	enum policy_holds all = POLICY_HOLDS;

	if (at < end && !call->holds)
		return POLICY_HOLDS_NOT;
	while (at < end) {
		bool negated = at->negated;
		enum policy_holds one = any_holds(policy, &at, end, call);

		if (one == POLICY_HOLDS_UNKNOWN)
			all = POLICY_HOLDS_UNKNOWN;
		else if ((one == POLICY_HOLDS) == negated)
			return POLICY_HOLDS_NOT;
	}
	return all;
}

static enum policy_holds matches(const struct policy *policy,
				 const struct policy_tool *tool,
				 const struct policy_call *call, size_t length)
{
	const struct policy_rule *rule = &policy->rules[tool->rule];

	if ((rule->until_s && rule->until_s <= call->now_s) ||
	    !glob_match(policy_text(policy, tool->pattern),
			tool->pattern.length, call->tool, length))
		return POLICY_HOLDS_NOT;
	return conditions_hold(policy, tool, call);
}

/* From the weakest to the strongest. */
enum decision {
	DECISION_DEFAULT,
	DECISION_ALLOW,
	DECISION_OBSERVE, /* a denial that is only observed */
	DECISION_UNKNOWN, /* nobody can tell: no */
	DECISION_DENY,
};

static enum decision decision_of(const struct policy_rule *rule,
				 enum policy_holds holds)
{
	if (rule->effect == POLICY_EFFECT_DENY && rule->observe)
		return DECISION_OBSERVE;
	if (holds == POLICY_HOLDS_UNKNOWN)
		return DECISION_UNKNOWN;
	return rule->effect == POLICY_EFFECT_DENY ? DECISION_DENY
						  : DECISION_ALLOW;
}

/* The entry that decides, and what it comes to. */
static uint32_t find_decider(const struct policy *policy,
			     const struct policy_call *call, enum decision *ret)
{
	enum decision decision = DECISION_DEFAULT;
	size_t length = strlen(call->tool);
	uint32_t best = POLICY_NONE;

	for (uint32_t i = policy->accounts[call->account].tools;
	     i != POLICY_NONE && decision != DECISION_DENY;
	     i = policy->tools[i].next) {
		const struct policy_tool *tool = &policy->tools[i];
		enum policy_holds holds = matches(policy, tool, call, length);
		enum decision one;

		if (holds == POLICY_HOLDS_NOT)
			continue;
		one = decision_of(&policy->rules[tool->rule], holds);
		if (one > decision ||
		    (one == DECISION_ALLOW && one == decision &&
		     tool->pattern.length >=
			     policy->tools[best].pattern.length)) {
			decision = one;
			best = i;
		}
	}
	*ret = decision;
	return best;
}

void policy_decide_tool(const struct policy *policy,
			const struct policy_call *call,
			struct policy_answer *ret, uint32_t *ret_tool)
{
	const struct policy_account *account = &policy->accounts[call->account];
	enum decision decision;
	uint32_t best = find_decider(policy, call, &decision);

	*ret_tool = POLICY_NONE;
	*ret = (struct policy_answer){
		.verdict = (enum policy_verdict)account->tools_default,
		.reason = POLICY_REASON_DEFAULT,
		.rule = POLICY_NONE,
		.log = true,
	};
	if (best != POLICY_NONE) {
		const struct policy_rule *rule =
			&policy->rules[policy->tools[best].rule];
		bool allows = decision == DECISION_ALLOW;

		ret->verdict = allows ? POLICY_ALLOW : POLICY_DENY;
		ret->reason = decision == DECISION_UNKNOWN
				      ? POLICY_REASON_CONDITION
				      : POLICY_REASON_RULE;
		ret->rule = policy->tools[best].rule;
		ret->log = !allows || !rule->quiet;
		*ret_tool = allows ? best : POLICY_NONE;
	}
	/*
	 * Where it could not be told, the rule in *ret may be one that allows,
	 * whose `mode` is about no denial: the policy's and the account's are.
	 */
	if (decision == DECISION_UNKNOWN &&
	    policy_is_observed(policy, call->account))
		ret->verdict = POLICY_OBSERVE;
	else if (decision != DECISION_UNKNOWN)
		policy_observe(policy, call->account, ret);
}

/*
 * Offered if some call of it could be allowed: a denial with conditions may not
 * meet all calls, and a rule that allows may meet some.
 */
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
