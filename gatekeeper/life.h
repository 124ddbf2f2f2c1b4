#pragma once

/*
 * life - what happens to Leash itself, in the log and on standard error
 *
 * The log of verdicts is only worth something together with the times at
 * which something was wrong: started, reloaded, a gate died, stopped.
 */

#include <stdint.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/stand_in.h"

struct life {
	struct channel *channel; /* borrowed */
	int wake;		 /* borrowed */
	uint64_t generation;	 /* of the policy in force */
};

/* Note a sentence; to standard error as well. */
__attribute__((format(printf, 2, 3))) void life_note(struct life *life,
						     const char *format, ...);

/* The same for what is wrong. */
__attribute__((format(printf, 2, 3))) void life_warn(struct life *life,
						     const char *format, ...);

/* Note a verdict that no gate gave; account is a name, or NULL. */
void life_note_event(struct life *life, enum policy_reason reason,
		     const struct stand_in_event *event, const char *account);
