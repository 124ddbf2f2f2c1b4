#include "gatekeeper/config/findings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/decide_flow.h"

#define PATH_SIZE 4096
#define PROGRAM	  "/leash-check" /* one that no rule names */

enum heard {
	HEARD_UNASKED,
	HEARD_NEVER,
	HEARD_YES,
};

/* What is known of one rule. */
struct finding {
	enum heard heard;
	uint32_t account;
	uint32_t winner;
	enum policy_verdict verdict; /* the winner's */
};

struct search {
	const struct policy *policy;
	const struct findings_scope *scope;
	int64_t now_s;
	struct finding *findings; /* one for each rule */
	uint32_t *parents;	  /* one for each node: its edge, or NONE */
};

static bool begins_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool is_from_profile(const struct search *search, uint32_t rule)
{
	return begins_with(
		policy_text(search->policy, search->policy->rules[rule].origin),
		search->scope->profiles);
}

static bool is_wanted(const struct search *search, uint32_t index)
{
	const struct policy_rule *rule = &search->policy->rules[index];
	const char *only = search->scope->only;

	if (rule->is_pattern || rule->digest != POLICY_NONE ||
	    search->findings[index].heard == HEARD_YES ||
	    (rule->until_s && rule->until_s <= search->now_s))
		return false;
	return only ? begins_with(policy_text(search->policy, rule->origin),
				  only)
		    : !is_from_profile(search, index);
}

/* One question was answered about something that rule names. */
static void take(struct search *search, uint32_t rule, uint32_t account,
		 const struct policy_answer *answer)
{
	struct finding *finding = &search->findings[rule];
	uint32_t winner = answer->rule;

	if (finding->heard == HEARD_YES)
		return;
	/* A default, and a rule that ends, leave it something to decide. */
	if (winner == rule || winner == POLICY_NONE ||
	    search->policy->rules[winner].until_s) {
		finding->heard = HEARD_YES;
		return;
	}
	if (finding->heard == HEARD_NEVER)
		return;
	*finding = (struct finding){
		.heard = HEARD_NEVER,
		.account = account,
		.winner = winner,
		.verdict = answer->verdict,
	};
}

static void ask_path(struct search *search, uint32_t rule, uint32_t account,
		     bool program, const char *path)
{
	static const enum policy_access accesses[] = {POLICY_ACCESS_READ,
						      POLICY_ACCESS_WRITE};
	struct policy_question question = {
		.account = account,
		.kind = program ? POLICY_KIND_EXEC : POLICY_KIND_OPEN,
		.path = path,
		.path_length = strlen(path),
		.now_s = search->now_s,
	};
	struct policy_answer answer;

	for (size_t i = 0; i < 2; i++) {
		question.access = program ? POLICY_ACCESS_EXEC : accesses[i];
		if (!policy_decide(search->policy, &question, &answer))
			take(search, rule, account, &answer);
		if (program)
			break;
	}
}

/*
 * The path itself, and names below it: a denying pattern may take the folder
 * or some of these, and hardly all of such different ones.
 */
static void ask_tree(struct search *search, uint32_t rule, uint32_t account,
		     bool program, const char *path)
{
	static const char *const below[] = {"",	     "/leash", "/Zq.c",
					    "/.x/y", "/0/1.d", "/_~"};
	char whole[PATH_SIZE + 16];

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		if (search->findings[rule].heard == HEARD_YES)
			return;
		snprintf(whole, sizeof(whole), "%s%s",
			 path[1] || !*below[i] ? path : "", below[i]);
		ask_path(search, rule, account, program, whole);
	}
}

/*
 * The path that leads to node by names alone, written to the end of buffer;
 * *root is where it starts.  NULL: a pattern leads there.
 */
static char *path_to(const struct search *search, uint32_t node, char *buffer,
		     size_t size, uint32_t *root)
{
	const struct policy *policy = search->policy;
	char *start = buffer + size - 1;

	*start = '\0';
	while (search->parents[node] != POLICY_NONE) {
		const struct policy_edge *edge =
			&policy->edges[search->parents[node]];

		if (start - buffer <= (ptrdiff_t)edge->text.length)
			return NULL;
		start -= edge->text.length;
		memcpy(start, policy_text(policy, edge->text),
		       edge->text.length);
		*--start = '/';
		node = edge->from;
	}
	*root = node;
	if (!*start)
		*--start = '/';
	return start;
}

static void look_at_tree(struct search *search, uint32_t account, uint32_t from,
			 bool program)
{
	const struct policy *policy = search->policy;
	char buffer[PATH_SIZE];

	for (uint32_t node = 0; node < policy->header->nodes.count; node++) {
		uint32_t root;
		char *path = NULL;

		for (uint32_t i = policy->nodes[node].rules; i != POLICY_NONE;
		     i = policy->rules[i].next) {
			if (!is_wanted(search, i))
				continue;
			if (!path)
				path = path_to(search, node, buffer,
					       sizeof(buffer), &root);
			if (!path || root != from)
				break;
			ask_tree(search, i, account, program, path);
		}
	}
}

static void ask_flow(struct search *search, const struct policy_reach *reach,
		     struct policy_flow flow)
{
	const char *program = policy_text(search->policy, reach->program);
	struct policy_answer answer;

	flow.kind = POLICY_KIND_CONNECT;
	flow.understood = true;
	flow.now_s = search->now_s;
	flow.program_known = true;
	flow.program = *program ? program : PROGRAM;
	for (uint32_t bit = 1; bit <= POLICY_PROTOCOL_ALL; bit <<= 1)
		for (int last = 0; last < 2; last++) {
			flow.protocol = bit;
			flow.port = last ? reach->port_last : reach->port_first;
			if (!(reach->protocols & bit) ||
			    policy_decide_flow(search->policy, &flow,
					       &answer) == POLICY_NEED_PROGRAM)
				continue;
			take(search, reach->rule, flow.account, &answer);
		}
}

static void ask_reaches(struct search *search, uint32_t first,
			const struct policy_flow *flow)
{
	for (uint32_t i = first; i != POLICY_NONE;
	     i = search->policy->reaches[i].next)
		if (is_wanted(search, search->policy->reaches[i].rule))
			ask_flow(search, &search->policy->reaches[i], *flow);
}

static void look_at_net(struct search *search, const struct policy_net *net)
{
	struct policy_flow flow = {.account = net->account,
				   .address = net->address};

	ask_reaches(search, net->reaches, &flow);
	for (uint32_t bit = net->length; bit < 128; bit++)
		flow.address.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	ask_reaches(search, net->reaches, &flow);
}

static void look_at_host(struct search *search, const struct policy_edge *edge)
{
	/* 0.0.0.0: of an address that no rule names */
	struct policy_flow flow = {
		.account = edge->from,
		.address.bytes = {[10] = 0xff, [11] = 0xff},
		.said = POLICY_SAID_UNSEEN,
		.name_count = 1,
	};
	const char *text = policy_text(search->policy, edge->text);
	const char *names[1];
	char name[300];

	snprintf(name, sizeof(name), "%s%s%s",
		 edge->kind == POLICY_EDGE_DOMAIN ? "leash-check" : "",
		 edge->kind == POLICY_EDGE_DOMAIN && *text ? "." : "", text);
	names[0] = name;
	flow.names = names;
	ask_reaches(search, edge->to, &flow);
}

static void look_at_all(struct search *search)
{
	const struct policy *policy = search->policy;
	const struct policy_header *header = policy->header;

	for (uint32_t i = 0; i < header->accounts.count; i++) {
		look_at_tree(search, i, policy->accounts[i].files, false);
		look_at_tree(search, i, policy->accounts[i].programs, true);
	}
	for (uint32_t i = 0; i < header->nets.count; i++)
		if (policy->nets[i].reaches != POLICY_NONE)
			look_at_net(search, &policy->nets[i]);
	for (uint32_t i = 0; i < header->edges.count; i++)
		if (policy->edges[i].kind == POLICY_EDGE_HOST ||
		    policy->edges[i].kind == POLICY_EDGE_DOMAIN)
			look_at_host(search, &policy->edges[i]);
}

static void note(const struct search *search, uint32_t rule,
		 struct report *report)
{
	const struct finding *finding = &search->findings[rule];
	const struct policy *policy = search->policy;
	const struct policy_rule *said = &policy->rules[rule];
	struct report_place place = {.file = policy_text(policy, said->origin)};
	bool denies = said->effect == POLICY_EFFECT_DENY;

	if (denies == (finding->verdict == POLICY_DENY) &&
	    is_from_profile(search, finding->winner))
		return;
	report_note(
		report, place,
		"this rule for \"%s\" can never decide anything: %s (%s) "
		"comes before it",
		policy_text(policy, policy->accounts[finding->account].name),
		policy_text(policy, policy->rules[finding->winner].origin),
		policy_verdict_word(finding->verdict));
}

int findings_report(const struct policy *policy,
		    const struct findings_scope *scope, struct report *report)
{
	const struct policy_header *header = policy->header;
	CLEANUP_FREE struct finding *findings =
		calloc(header->rules.count + 1, sizeof(*findings));
	CLEANUP_FREE uint32_t *parents =
		malloc((header->nodes.count + 1) * sizeof(*parents));
	struct search search = {
		.policy = policy,
		.scope = scope,
		.now_s = clock_realtime_ns() / CLOCK_NS_PER_S,
		.findings = findings,
		.parents = parents,
	};

	if (!findings || !parents)
		return -ENOMEM;
	for (uint32_t i = 0; i < header->nodes.count; i++)
		parents[i] = POLICY_NONE;
	for (uint32_t i = 0; i < header->edges.count; i++)
		if (policy->edges[i].kind == POLICY_EDGE_NAME)
			parents[policy->edges[i].to] = i;
	look_at_all(&search);
	for (uint32_t i = 0; i < header->rules.count; i++)
		if (findings[i].heard == HEARD_NEVER)
			note(&search, i, report);
	return 0;
}
