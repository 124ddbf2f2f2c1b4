#include "gatekeeper/policy/decide_flow.h"

#include <string.h>

#define MAPPED_BITS 96

static const uint8_t mapped[MAPPED_BITS / 8] = {
	[10] = 0xff,
	[11] = 0xff,
};

/* The best rules of one network. */
struct found {
	uint32_t deny;
	uint32_t allow;
	bool needs_program; /* one that asks for a program might match */
};

static const struct policy_net *find_net(const struct policy *policy,
					 const struct policy_flow *flow,
					 uint32_t length)
{
	struct policy_address prefix =
		policy_address_prefix(&flow->address, length);
	uint64_t hash = policy_net_hash(policy->header->hash_seed,
					flow->account, &prefix, length);
	uint32_t mask = policy->header->nets.count - 1;

	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		const struct policy_net *net = &policy->nets[i];

		if (net->reaches == POLICY_NONE)
			return NULL;
		if (net->account == flow->account && net->length == length &&
		    !memcmp(&net->address, &prefix, sizeof(prefix)))
			return net;
	}
}

static bool reach_matches(const struct policy *policy,
			  const struct policy_flow *flow,
			  const struct policy_reach *reach,
			  bool *ret_needs_program)
{
	const struct policy_rule *rule = &policy->rules[reach->rule];

	if (!(reach->protocols & flow->protocol) ||
	    flow->port < reach->port_first || flow->port > reach->port_last ||
	    (rule->until_s && rule->until_s <= flow->now_s))
		return false;
	if (!reach->program.length)
		return true;
	if (!flow->program_known)
		*ret_needs_program = true;
	return flow->program &&
	       !strcmp(flow->program, policy_text(policy, reach->program));
}

static void first_of(uint32_t *slot, uint32_t rule)
{
	if (*slot == POLICY_NONE || rule < *slot)
		*slot = rule;
}

static struct found look_in(const struct policy *policy,
			    const struct policy_flow *flow,
			    const struct policy_net *net)
{
	struct found found = {POLICY_NONE, POLICY_NONE, false};

	for (uint32_t i = net->reaches; i != POLICY_NONE;
	     i = policy->reaches[i].next) {
		const struct policy_reach *reach = &policy->reaches[i];

		if (!reach_matches(policy, flow, reach, &found.needs_program))
			continue;
		if (policy->rules[reach->rule].effect == POLICY_EFFECT_DENY)
			first_of(&found.deny, reach->rule);
		else
			first_of(&found.allow, reach->rule);
	}
	return found;
}

static struct policy_answer answer(enum policy_verdict verdict,
				   enum policy_reason reason, uint32_t rule)
{
	return (struct policy_answer){
		.verdict = verdict,
		.reason = reason,
		.rule = rule,
		.log = true,
	};
}

static int decide_connect(const struct policy *policy,
			  const struct policy_flow *flow,
			  struct policy_answer *ret)
{
	const struct policy_account *account = &policy->accounts[flow->account];
	bool is_mapped = !memcmp(flow->address.bytes, mapped, sizeof(mapped));
	int shortest = is_mapped ? MAPPED_BITS : 0;

	for (int length = 128; length >= shortest; length--) {
		const struct policy_net *net;
		struct found found;

		if (!(account->net_lengths[length / 64] >> length % 64 & 1))
			continue;
		net = find_net(policy, flow, (uint32_t)length);
		if (!net)
			continue;
		found = look_in(policy, flow, net);
		/* Without it, a denial would stand whatever the program is. */
		if (found.needs_program && found.deny == POLICY_NONE)
			return POLICY_NEED_PROGRAM;
		if (found.deny != POLICY_NONE) {
			*ret = answer(POLICY_DENY, POLICY_REASON_RULE,
				      found.deny);
			return 0;
		}
		if (found.allow != POLICY_NONE) {
			*ret = answer(POLICY_ALLOW, POLICY_REASON_RULE,
				      found.allow);
			ret->log = !policy->rules[found.allow].quiet;
			return 0;
		}
	}
	*ret = answer((enum policy_verdict)account->network_default,
		      POLICY_REASON_DEFAULT, POLICY_NONE);
	return 0;
}

static struct policy_answer decide_accept(const struct policy *policy,
					  const struct policy_flow *flow)
{
	uint32_t inbound = policy->accounts[flow->account].inbound;
	bool allowed = inbound == POLICY_INBOUND_ANY ||
		       (inbound == POLICY_INBOUND_LOOPBACK && flow->loopback);

	return answer(allowed ? POLICY_ALLOW : POLICY_DENY,
		      POLICY_REASON_INBOUND, POLICY_NONE);
}

int policy_decide_flow(const struct policy *policy,
		       const struct policy_flow *flow,
		       struct policy_answer *ret)
{
	struct policy_answer found;
	int r = 0;

	if (!flow->understood)
		found = answer(POLICY_DENY, POLICY_REASON_PACKET, POLICY_NONE);
	else if (flow->kind == POLICY_KIND_ACCEPT)
		found = decide_accept(policy, flow);
	else
		r = decide_connect(policy, flow, &found);
	if (r)
		return r;
	policy_observe(policy, flow->account, &found);
	*ret = found;
	return 0;
}
