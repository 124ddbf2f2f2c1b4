#include "gatekeeper/config/findings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/decide_flow.h"
#include "gatekeeper/policy/places.h"

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
};

static bool begins_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static bool is_from_profile(const struct search *search, uint32_t rule)
{
	return begins_with(
		policy_text(search->policy,
			    policy_rule(search->policy, rule)->origin),
		search->scope->profiles);
}

static bool is_wanted(const struct search *search, uint32_t index)
{
	const struct policy_rule *rule = policy_rule(search->policy, index);
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
	    policy_rule(search->policy, winner)->until_s) {
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

static void ask_path(struct search *search, const struct policy_place *place,
		     const char *path)
{
	static const enum policy_access accesses[] = {POLICY_ACCESS_READ,
						      POLICY_ACCESS_WRITE};
	bool program = place->kind == POLICY_PLACE_PROGRAM;
	struct policy_question question = {
		.account = place->account,
		.kind = program ? POLICY_KIND_EXEC : POLICY_KIND_OPEN,
		.path = path,
		.path_length = strlen(path),
		.now_s = search->now_s,
	};
	struct policy_answer answer;

	for (size_t i = 0; i < 2; i++) {
		question.access = program ? POLICY_ACCESS_EXEC : accesses[i];
		if (!policy_decide(search->policy, &question, &answer))
			take(search, place->rule, place->account, &answer);
		if (program)
			break;
	}
}

/*
 * The path itself, and names below it: a denying pattern may take the folder
 * or some of these, and hardly all of such different ones.
 */
static void ask_tree(struct search *search, const struct policy_place *place)
{
	static const char *const below[] = {"",	     "/leash", "/Zq.c",
					    "/.x/y", "/0/1.d", "/_~"};
	char whole[PATH_SIZE + 16];

	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
		if (search->findings[place->rule].heard == HEARD_YES)
			return;
		snprintf(whole, sizeof(whole), "%s%s",
			 place->text[1] || !*below[i] ? place->text : "",
			 below[i]);
		ask_path(search, place, whole);
	}
}

static void ask_flow(struct search *search, const struct policy_place *place,
		     struct policy_flow flow)
{
	struct policy_answer answer;

	flow.account = place->account;
	flow.kind = POLICY_KIND_CONNECT;
	flow.understood = true;
	flow.now_s = search->now_s;
	flow.program_known = true;
	flow.program = *place->program ? place->program : PROGRAM;
	for (uint32_t bit = 1; bit <= POLICY_PROTOCOL_ALL; bit <<= 1)
		for (int last = 0; last < 2; last++) {
			flow.protocol = bit;
			flow.port = last ? place->port_last : place->port_first;
			if (!(place->protocols & bit) ||
			    policy_decide_flow(search->policy, &flow,
					       &answer) == POLICY_NEED_PROGRAM)
				continue;
			take(search, place->rule, place->account, &answer);
		}
}

static void ask_net(struct search *search, const struct policy_place *place)
{
	ask_flow(search, place, (struct policy_flow){.address = place->first});
	if (search->findings[place->rule].heard != HEARD_YES)
		ask_flow(search, place,
			 (struct policy_flow){.address = place->last});
}

static void ask_host(struct search *search, const struct policy_place *place)
{
	/* 0.0.0.0: of an address that no rule names */
	struct policy_flow flow = {
		.address.bytes = {[10] = 0xff, [11] = 0xff},
		.said = POLICY_SAID_UNSEEN,
		.name_count = 1,
	};
	bool below = place->kind == POLICY_PLACE_DOMAIN;
	const char *names[1];
	char name[300];

	snprintf(name, sizeof(name), "%s%s%s", below ? "leash-check" : "",
		 below && *place->text ? "." : "", place->text);
	names[0] = name;
	flow.names = names;
	ask_flow(search, place, flow);
}

static void look_at(void *context, const struct policy_place *place)
{
	struct search *search = context;

	if (!is_wanted(search, place->rule))
		return;
	switch (place->kind) {
	case POLICY_PLACE_FILE:
	case POLICY_PLACE_PROGRAM:
		ask_tree(search, place);
		break;
	case POLICY_PLACE_NET:
		ask_net(search, place);
		break;
	case POLICY_PLACE_HOST:
	case POLICY_PLACE_DOMAIN:
		ask_host(search, place);
		break;
	}
}

static void note(const struct search *search, uint32_t rule,
		 struct report *report)
{
	const struct finding *finding = &search->findings[rule];
	const struct policy *policy = search->policy;
	const struct policy_rule *said = policy_rule(policy, rule);
	struct report_place place = {.file = policy_text(policy, said->origin)};
	bool denies = said->effect == POLICY_EFFECT_DENY;

	if (denies == (finding->verdict == POLICY_DENY) &&
	    is_from_profile(search, finding->winner))
		return;
	report_note(report, place,
		    "this rule for \"%s\" can never decide anything: %s (%s) "
		    "comes before it",
		    policy_text(policy,
				policy_account(policy, finding->account)->name),
		    policy_text(policy,
				policy_rule(policy, finding->winner)->origin),
		    policy_verdict_word(finding->verdict));
}

int findings_report(const struct policy *policy,
		    const struct findings_scope *scope, struct report *report)
{
	uint32_t count = policy_rule_count(policy);
	CLEANUP_FREE struct finding *findings =
		calloc(count + 1, sizeof(*findings));
	struct search search = {
		.policy = policy,
		.scope = scope,
		.now_s = clock_realtime_ns() / CLOCK_NS_PER_S,
		.findings = findings,
	};
	int r;

	if (!findings)
		return -ENOMEM;
	r = policy_places(policy, look_at, &search);
	if (r)
		return r;
	for (uint32_t i = 0; i < count; i++)
		if (findings[i].heard == HEARD_NEVER)
			note(&search, i, report);
	return 0;
}
