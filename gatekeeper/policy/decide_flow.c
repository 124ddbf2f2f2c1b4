#include "gatekeeper/policy/decide_flow.h"

#include <string.h>

#include "gatekeeper/policy/decide_host.h"
#include "gatekeeper/policy/image_format.h"

#define MAPPED_BITS 96
#define QUIC_PORT   443

static const uint8_t mapped[MAPPED_BITS / 8] = {
	[10] = 0xff,
	[11] = 0xff,
};

static const struct policy_net *find_net(const struct policy *policy,
					 uint32_t account,
					 const struct policy_address *address,
					 uint32_t length)
{
	struct policy_address prefix = policy_address_prefix(address, length);
	uint64_t hash = policy_net_hash(policy->header->hash_seed, account,
					&prefix, length);
	uint32_t mask = policy->header->nets.count - 1;

	for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
		const struct policy_net *net = &policy->nets[i];

		if (net->reaches == POLICY_NONE)
			return NULL;
		if (net->account == account && net->length == length &&
		    !memcmp(&net->address, &prefix, sizeof(prefix)))
			return net;
	}
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

/* The next longest prefix of the account's that holds address. */
static const struct policy_net *next_net(const struct policy *policy,
					 uint32_t account,
					 const struct policy_address *address,
					 int *length)
{
	const uint64_t *lengths = policy->accounts[account].net_lengths;
	bool is_mapped = !memcmp(address->bytes, mapped, sizeof(mapped));
	int shortest = is_mapped ? MAPPED_BITS : 0;

	while (*length >= shortest) {
		const struct policy_net *net;
		int bits = (*length)--;

		if (!(lengths[bits / 64] >> bits % 64 & 1))
			continue;
		net = find_net(policy, account, address, (uint32_t)bits);
		if (net)
			return net;
	}
	return NULL;
}

static struct reaches_found look_by_address(const struct policy *policy,
					    const struct policy_flow *flow)
{
	struct reaches_found found = {POLICY_NONE, POLICY_NONE, false};
	const struct policy_net *net;
	int length = 128;

	while ((net = next_net(policy, flow->account, &flow->address,
			       &length))) {
		found = reaches_find(policy, flow, net->reaches);
		if (found.needs_program || found.deny != POLICY_NONE ||
		    found.allow != POLICY_NONE)
			break;
	}
	return found;
}

bool policy_allows_address(const struct policy *policy, uint32_t account,
			   const struct policy_address *address, int64_t now_s)
{
	const struct policy_net *net;
	int length = 128;

	while ((net = next_net(policy, account, address, &length)))
		for (uint32_t i = net->reaches; i != POLICY_NONE;
		     i = policy->reaches[i].next) {
			const struct policy_rule *rule =
				&policy->rules[policy->reaches[i].rule];

			if (rule->effect == POLICY_EFFECT_REACH &&
			    (!rule->until_s || rule->until_s > now_s))
				return true;
		}
	return false;
}

/* What the rules say of all names that count. */
struct by_name {
	uint32_t deny;
	uint32_t allow;
	const char *denied; /* that name */
	const char *allowed;
	bool needs_program;
};

static void add_name(const struct policy *policy,
		     const struct policy_flow *flow, const char *name,
		     struct by_name *by)
{
	struct reaches_found found = decide_host_find(policy, flow, name);

	by->needs_program |= found.needs_program;
	if (found.deny != POLICY_NONE && by->deny == POLICY_NONE) {
		by->deny = found.deny;
		by->denied = name;
	}
	if (found.deny == POLICY_NONE && found.allow != POLICY_NONE &&
	    by->allow == POLICY_NONE) {
		by->allow = found.allow;
		by->allowed = name;
	}
}

static struct by_name look_by_name(const struct policy *policy,
				   const struct policy_flow *flow)
{
	struct by_name by = {.deny = POLICY_NONE, .allow = POLICY_NONE};

	for (uint32_t i = 0; i < flow->name_count; i++)
		if (flow->said != POLICY_SAID_NAME ||
		    (flow->said_name &&
		     !strcmp(flow->names[i], flow->said_name)))
			add_name(policy, flow, flow->names[i], &by);
	return by;
}

static struct policy_answer by_rule(const struct policy *policy,
				    enum policy_verdict verdict, uint32_t rule,
				    const char *host)
{
	struct policy_answer found = answer(verdict, POLICY_REASON_RULE, rule);

	found.host = host;
	found.log = verdict == POLICY_DENY || !policy->rules[rule].quiet;
	return found;
}

/*
 * Why it is denied where a name allows the address, but what the client has
 * said does not.
 */
static enum policy_reason reason_against(const struct policy_flow *flow)
{
	if (flow->protocol == POLICY_PROTOCOL_UDP)
		return flow->port == QUIC_PORT ? POLICY_REASON_QUIC
					       : POLICY_REASON_RULE;
	if (flow->said == POLICY_SAID_NOTHING)
		return POLICY_REASON_UNSAID;
	if (flow->said == POLICY_SAID_GARBLED)
		return POLICY_REASON_GARBLED;
	return POLICY_REASON_RULE;
}

static struct policy_answer without_rule(const struct policy *policy,
					 const struct policy_flow *flow)
{
	enum policy_verdict verdict =
		(enum policy_verdict)policy->accounts[flow->account]
			.network_default;
	bool elsewhere = verdict == POLICY_DENY &&
			 flow->said == POLICY_SAID_NAME && flow->name_count;

	return answer(verdict,
		      elsewhere ? POLICY_REASON_ELSEWHERE
				: POLICY_REASON_DEFAULT,
		      POLICY_NONE);
}

static int decide_connect(const struct policy *policy,
			  const struct policy_flow *flow,
			  struct policy_answer *ret)
{
	struct reaches_found by_address = look_by_address(policy, flow);
	bool may_say = flow->protocol == POLICY_PROTOCOL_TCP &&
		       flow->said == POLICY_SAID_UNSEEN;
	struct by_name by_name;
	enum policy_reason against;

	if (by_address.needs_program)
		return POLICY_NEED_PROGRAM;
	if (by_address.deny != POLICY_NONE) {
		*ret = by_rule(policy, POLICY_DENY, by_address.deny, NULL);
		return 0;
	}
	by_name = look_by_name(policy, flow);
	if (by_name.needs_program)
		return POLICY_NEED_PROGRAM;
	/*
	 * If another of the address's names is allowed, the client may yet say
	 * that it wants that one.
	 */
	if (by_name.deny != POLICY_NONE &&
	    (by_name.allow == POLICY_NONE || !may_say)) {
		*ret = by_rule(policy, POLICY_DENY, by_name.deny,
			       by_name.denied);
		return 0;
	}
	if (by_address.allow != POLICY_NONE) {
		*ret = by_rule(policy, POLICY_ALLOW, by_address.allow, NULL);
		return 0;
	}
	if (by_name.allow == POLICY_NONE) {
		*ret = without_rule(policy, flow);
		return 0;
	}
	*ret = by_rule(policy, POLICY_ALLOW, by_name.allow, by_name.allowed);
	if (may_say)
		return POLICY_NEED_SAID;
	against = reason_against(flow);
	if (against != POLICY_REASON_RULE) {
		*ret = answer(POLICY_DENY, against, POLICY_NONE);
		ret->host = by_name.allowed;
	}
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
	if (r == POLICY_NEED_PROGRAM)
		return r;
	policy_observe(policy, flow->account, &found);
	*ret = found;
	return r;
}
