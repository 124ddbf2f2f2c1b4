#include "fanotify/boost.h"

#include <sched.h>

#include "gatekeeper/base/log.h"

/*
 * One full batch may be chance: all that a build starts at once fits in one.  A
 * second says that more is waiting.
 */
#define FULL_BATCHES 2

void boost_saw(struct boost *boost, bool full)
{
	const struct sched_param first = {.sched_priority = 1}, usual = {0};
	bool ahead;

	boost->full_batches = full ? boost->full_batches + 1 : 0;
	ahead = boost->full_batches >= FULL_BATCHES;
	if (ahead == boost->ahead || boost->refused)
		return;
	if (sched_setscheduler(0, ahead ? SCHED_FIFO : SCHED_OTHER,
			       ahead ? &first : &usual) < 0) {
		log_warning("cannot come before a crowd of threads that wait: "
			    "%m");
		boost->refused = true;
		return;
	}
	boost->ahead = ahead;
}
