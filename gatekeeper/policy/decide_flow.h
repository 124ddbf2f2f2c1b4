#pragma once

/*
 * decide_flow - the judgement of a connection: facts in, verdict out
 *
 * Pure, as policy/decide.h is.  Which rule decides (leash.conf(5) says it for
 * people): among the rules whose network, port, protocol and program match,
 * the one with the longest prefix; among equals, deny; without any, the
 * account's default.  The cost follows the number of different prefix lengths
 * and of rules for one and the same network, not the number of rules.
 *
 * A name is evidence like an address: among the names that the account has
 * looked up and got this address for, a rule that denies one denies, one that
 * allows one allows.  Several names often share an address, so a TCP client
 * must then say which it wants (TLS's server name, HTTP's Host): until it has,
 * the answer is POLICY_NEED_SAID, and afterwards only the name said counts.
 * Which rule decides of a name is in decide_host.h.
 *
 * An IPv4 address and its IPv4-mapped IPv6 form are the same; an IPv6 prefix
 * shorter than 96 bits does not mean IPv4.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/decide.h"
#include "gatekeeper/policy/flow.h"

/* Expected outcome. */
enum {
	POLICY_NEED_PROGRAM = 2, /* find out which, ask again */
	POLICY_NEED_SAID,	 /* allowed so far; ask when it has spoken */
};

/*
 * Answer flow.  Returns 0 and fills *ret, or POLICY_NEED_PROGRAM, never when
 * program_known, or POLICY_NEED_SAID with *ret filled, only while said is
 * UNSEEN.
 */
MUST_CHECK int policy_decide_flow(const struct policy *policy,
				  const struct policy_flow *flow,
				  struct policy_answer *ret);

/* Does a rule allow that address now, on whatever port? */
bool policy_allows_address(const struct policy *policy, uint32_t account,
			   const struct policy_address *address, int64_t now_s);
