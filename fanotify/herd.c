#include "fanotify/herd.h"

#include <sched.h>

#include "gatekeeper/base/log.h"

/* One full batch may be chance; what a build starts at once goes in one. */
#define FULL_BATCHES 2

void herd_saw(struct herd *herd, bool full)
{
	const struct sched_param first = {.sched_priority = 1}, usual = {0};
	bool ahead;

	herd->full_batches = full ? herd->full_batches + 1 : 0;
	ahead = herd->full_batches >= FULL_BATCHES;
	if (ahead == herd->ahead || herd->refused)
		return;
	if (sched_setscheduler(0, ahead ? SCHED_FIFO : SCHED_OTHER,
			       ahead ? &first : &usual) < 0) {
		log_warning("cannot come before a crowd of threads that wait: "
			    "%m");
		herd->refused = true;
		return;
	}
	herd->ahead = ahead;
}
