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
 * An IPv4 address and its IPv4-mapped IPv6 form are the same; an IPv6 prefix
 * shorter than 96 bits does not mean IPv4.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/decide.h"

struct policy_flow {
	uint32_t account;
	enum policy_kind kind;	       /* CONNECT or ACCEPT */
	bool understood;	       /* false: the packet is none we know */
	bool loopback;		       /* ACCEPT: the peer is on this machine */
	uint32_t protocol;	       /* one of enum policy_protocol */
	struct policy_address address; /* of the peer */
	uint16_t port;		       /* of the peer; 0: it has none */
	bool program_known;	       /* whether it was looked for */
	const char *program; /* path; NULL: it could not be found out */
	int64_t now_s;	     /* realtime */
};

/* Expected outcome. */
enum {
	POLICY_NEED_PROGRAM = 2, /* find out which, ask again */
};

/*
 * Answer flow.  Returns 0 and fills *ret, or POLICY_NEED_PROGRAM, never when
 * program_known.
 */
MUST_CHECK int policy_decide_flow(const struct policy *policy,
				  const struct policy_flow *flow,
				  struct policy_answer *ret);
