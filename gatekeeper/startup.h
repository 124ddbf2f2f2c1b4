#pragma once

/*
 * startup - puts the supervisor together, in the order that holds
 *
 * The policy first, then the store, then the gates, then the marks: nothing is
 * asked about before somebody answers, and a predecessor's helpers are ended
 * when ours are at work.
 */

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/supervisor.h"

/* Expected outcome. */
enum {
	STARTUP_CONFIG_WRONG = 1, /* the mistakes have been reported */
};

/* Load the policy, start the helpers, mark: afterwards the leash holds. */
MUST_CHECK int startup_run(struct supervisor *supervisor);
