#pragma once

/*
 * event_log - what happens to Leash itself, in the log and on standard error
 *
 * The log of verdicts is only worth something together with the times at
 * which something was wrong: started, reloaded, a gate died, stopped.
 */

#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

struct event_log {
	struct channel *channel; /* borrowed */
	int wake;		 /* borrowed */
	uint64_t generation;	 /* of the policy in force */
};

/* A verdict that no gate gave. */
struct event_log_verdict {
	enum policy_reason reason;
	pid_t tid;
	uint32_t uid;
	uint32_t account; /* of the policy, or POLICY_NONE */
	enum policy_verdict verdict;
	const char *path; /* NULL where it cannot be had */
};

/* Note a sentence; to standard error as well. */
__attribute__((format(printf, 2, 3))) void
event_log_note(struct event_log *log, const char *format, ...);

/* The same for what is wrong. */
__attribute__((format(printf, 2, 3))) void
event_log_warn(struct event_log *log, const char *format, ...);

/* Note such a verdict. */
void event_log_verdict(struct event_log *log, const struct policy *policy,
		       const struct event_log_verdict *verdict);
