#pragma once

/*
 * conditions - does a rule's condition hold of a call's arguments?
 *
 * A field is a path of keys and indices joined by dots; `*` is each of them.
 * The condition holds if it holds of any value the field leads to.  Texts
 * compare without regard to case unless told; numbers and booleans as they
 * are written, and by value where the order matters.
 *
 * It cannot be told where an expression is too costly for the text, which is
 * the agent's, where memory did not suffice to compile it, or where the effort
 * is spent.
 */

#include <jansson.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/decide_tool.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/base/effort.h"

struct conditions; /* the expressions of one policy, compiled */

MUST_CHECK int conditions_new(const struct policy *policy,
			      struct conditions **ret);
struct conditions *conditions_free(struct conditions *conditions);
DEFINE_CLEANUP(struct conditions *, conditions_free)

enum policy_holds conditions_hold(const struct conditions *conditions,
				  const struct policy *policy,
				  const struct policy_condition *condition,
				  const json_t *arguments);

/* What they may cost from now on; the caller keeps it, or NULL. */
void conditions_allow(struct conditions *conditions, struct effort *effort);
