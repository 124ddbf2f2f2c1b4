#pragma once

/*
 * boost - real-time priority while a crowd waits for answers
 *
 * Each answer wakes every thread that waits for one (fs/notify/fanotify: one
 * wait queue a group), and all but one go back to sleep.  With thousands
 * waiting the gate gets one turn in thousands, and the machine is busy for
 * minutes with what takes two seconds: so while the backlog lasts, and no
 * longer, the gate comes before them all (SCHED_FIFO).
 *
 * It takes CAP_SYS_NICE.  Where the kernel refuses (real-time groups without a
 * budget), the gate goes on as it is.
 */

#include <stdbool.h>

struct boost {
	int full_batches; /* in a row */
	bool ahead;
	bool refused;
};

/*
 * A batch was read; full says that there was no room for more events.  To be
 * called before its events are answered.
 */
void boost_saw(struct boost *boost, bool full);
