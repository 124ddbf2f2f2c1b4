#pragma once

/*
 * explain - would it be allowed, by which rule, and which would be next
 *
 * Asks the same functions as the gates do.  The rules that lose are found by
 * asking again as if the one that decides had ended: so their order is the
 * order in which they would decide.
 *
 * Pure but for memory: what the path leads to, and what its inode is, whoever
 * asks has found out; an account that lies about it is told lies about
 * itself.
 */

#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/fields.h"

/* Expected outcome. */
enum {
	EXPLAIN_WRONG = 1, /* reply's text says what is wrong with request */
};

/* Answer request about account, as wire/control.h says, into reply. */
MUST_CHECK int explain(const struct policy *policy, uint32_t account,
		       const struct fields *request, struct fields *reply);
