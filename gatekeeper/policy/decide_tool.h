#pragma once

/*
 * decide_tool - the judgement of a tool call, by its name
 *
 * Pure, as policy/decide.h is.  Among the account's rules whose pattern is
 * that of the name and whose conditions hold: any that denies, denies; else
 * the longest pattern that allows, allows; without any, the account's default.
 * Where it cannot be told whether a rule's conditions hold, the call is refused
 * by that rule, whatever it does: one that denies might, and one that allows is
 * not to be had by a text that nobody can read.
 * What the arguments name and hold is judged elsewhere, by the same policy.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/decide.h"

enum policy_holds {
	POLICY_HOLDS_NOT,
	POLICY_HOLDS,
	POLICY_HOLDS_UNKNOWN, /* it cannot be told */
};

/*
 * Does the condition hold of the call's arguments, whatever its `negated` and
 * `or_next` say?  An argument that is not there equals, contains and matches
 * nothing.
 */
typedef enum policy_holds (*policy_condition_fn)(
	void *context, const struct policy *policy,
	const struct policy_condition *condition);

struct policy_call {
	uint32_t account;
	enum policy_kind kind; /* CALL or RESULT */
	const char *tool;
	int64_t now_s;		   /* realtime */
	policy_condition_fn holds; /* NULL: conditions of allowing rules do
				      not hold, those of denying ones do not
				      either */
	void *context;
};

/*
 * Answer call.  *ret_tool is the entry by which it was allowed, or
 * POLICY_NONE.
 */
void policy_decide_tool(const struct policy *policy,
			const struct policy_call *call,
			struct policy_answer *ret, uint32_t *ret_tool);

/* Whether any rule could allow a tool of that name: is it to be offered? */
bool policy_offers_tool(const struct policy *policy, uint32_t account,
			const char *tool, int64_t now_s);
