#pragma once

/*
 * places - what each rule is about
 *
 * For whoever looks at a policy as a whole, as `gatekeeper --check` does.  It
 * judges nothing: what is to be allowed there, policy_decide() says.
 */

#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

enum policy_place_kind {
	POLICY_PLACE_FILE,
	POLICY_PLACE_PROGRAM,
	POLICY_PLACE_NET,
	POLICY_PLACE_HOST,   /* a name */
	POLICY_PLACE_DOMAIN, /* the names below it; below "": all */
};

struct policy_place {
	enum policy_place_kind kind;
	uint32_t rule;
	uint32_t account;
	const char *text; /* FILE, PROGRAM: the path; HOST, DOMAIN: the name */
	struct policy_address first, last; /* NET: the ends of it */
	/* NET, HOST, DOMAIN: what it reaches there. */
	const char *program; /* empty: any */
	uint32_t protocols;  /* enum policy_protocol, any of them */
	uint16_t port_first;
	uint16_t port_last;
};

/* What place holds is borrowed for the call. */
typedef void (*policy_place_fn)(void *context,
				const struct policy_place *place);

/*
 * Call each for the places of all rules: paths that names alone lead to, by
 * account, then networks, then hosts, each of these with all that is said of it
 * one behind the other.  Patterns are left out.  0 or -ENOMEM.
 */
MUST_CHECK int policy_places(const struct policy *policy, policy_place_fn each,
			     void *context);
