#pragma once

/*
 * pulse - is the gate that has the turn alive?
 *
 * Both the main process and the spare look, each for itself, since either may
 * be dead or stopped at that moment.
 */

#include <stdbool.h>
#include <stdint.h>

#include "gatekeeper/wire/gate_table.h"

struct pulse {
	uint64_t heartbeat;
	int still;	   /* looks without a sign of life, with work waiting */
	int64_t killed_ns; /* when we told it to die, 0: we did not */
};

/* What to look at, and with what. */
struct pulse_of {
	const struct gate_shared *slot;
	int group;
	int proc;     /* of process_open_proc() */
	int patience; /* how many looks it may stand still */
};

/*
 * Look once more.  A gate that stands still with work waiting is killed.
 * True: it is gone - or the kernel holds it, and it will not run again.
 */
bool pulse_is_gone(struct pulse *pulse, const struct pulse_of *of,
		   int64_t now_ns);
