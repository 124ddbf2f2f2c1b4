#include "gatekeeper/policy/decide_host.h"

#include <string.h>

#include "gatekeeper/policy/image_format.h"

#define BOTH (POLICY_PROTOCOL_TCP | POLICY_PROTOCOL_UDP)

/* The levels of a name, from the most specific. */
struct levels {
	const struct policy *policy;
	uint32_t account;
	const char *name; /* of the next level; NULL: it was the last */
	enum policy_edge_kind kind;
};

/* The next level's rules; false: there are no more levels. */
static bool next_level(struct levels *levels, uint32_t *ret)
{
	const struct policy_edge *edge;

	if (!levels->name)
		return false;
	edge = policy_edge_find(levels->policy, levels->account, levels->kind,
				levels->name, strlen(levels->name));
	*ret = edge ? edge->to : POLICY_NONE;
	if (!*levels->name) {
		levels->name = NULL;
	} else {
		const char *parent = host_name_parent(levels->name);

		levels->kind = POLICY_EDGE_DOMAIN;
		levels->name = parent ? parent : "";
	}
	return true;
}

struct reaches_found decide_host_find(const struct policy *policy,
				      const struct policy_flow *flow,
				      const char *name)
{
	struct levels levels = {policy, flow->account, name, POLICY_EDGE_HOST};
	struct reaches_found found = {POLICY_NONE, POLICY_NONE, false};
	uint32_t first;

	while (next_level(&levels, &first)) {
		found = reaches_find(policy, flow, first);
		if (found.needs_program || found.deny != POLICY_NONE ||
		    found.allow != POLICY_NONE)
			break;
	}
	return found;
}

/*
 * Does the rule meet every connection to the name, whatever port and program?
 */
static bool denies_all(const struct policy_reach *reach)
{
	return (reach->protocols & BOTH) == BOTH && reach->port_first == 0 &&
	       reach->port_last == UINT16_MAX && !reach->program.length;
}

/* What one level says of the question; false: nothing. */
static bool answer_level(const struct policy *policy, uint32_t first,
			 int64_t now_s, struct policy_answer *ret)
{
	bool found = false;

	for (uint32_t i = first; i != POLICY_NONE;
	     i = policy->reaches[i].next) {
		const struct policy_reach *reach = &policy->reaches[i];
		const struct policy_rule *rule = &policy->rules[reach->rule];
		bool denies = rule->effect == POLICY_EFFECT_DENY;

		if ((rule->until_s && rule->until_s <= now_s) ||
		    (denies && !denies_all(reach)) ||
		    (found && ret->verdict == POLICY_DENY))
			continue;
		*ret = (struct policy_answer){
			.verdict = denies ? POLICY_DENY : POLICY_ALLOW,
			.reason = POLICY_REASON_RULE,
			.rule = reach->rule,
			.log = denies || !rule->quiet,
		};
		found = true;
	}
	return found;
}

void policy_decide_question(const struct policy *policy, uint32_t account,
			    const char *name, int64_t now_s,
			    struct policy_answer *ret)
{
	struct levels levels = {policy, account, name, POLICY_EDGE_HOST};
	const char *level;
	uint32_t first;

	*ret = (struct policy_answer){
		.verdict = (enum policy_verdict)policy->accounts[account]
				   .network_default,
		.reason = POLICY_REASON_DEFAULT,
		.rule = POLICY_NONE,
		.log = true,
	};
	do {
		level = levels.name;
		if (!next_level(&levels, &first))
			break;
	} while (!answer_level(policy, first, now_s, ret));
	ret->host = name;
	/*
	 * Below a rule for `*` any name is allowed, so what stands before is
	 * not limited (name_limits).
	 */
	ret->below = level && *level ? (size_t)(level - name) : 0;
	policy_observe(policy, account, ret);
}
