#pragma once

/*
 * sleep_task - the process that freezes and thaws, while gatekeeper goes on
 *
 * A child that holds nothing of its parent's but its end of a pair.  One that
 * freezes reports when all stand still, or that they do not in time; then it
 * goes on to freeze whoever becomes one of the accounts, until it is told to
 * thaw, does that, reports, and ends.  One whose parent is gone ends and
 * thaws nobody: that is for whoever asks about opens next.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/image.h"

#define SLEEP_TASK_FREEZE_NS                                                   \
	(3 * CLOCK_NS_PER_S) /* to freeze the accounts in */

enum sleep_job {
	SLEEP_JOB_FREEZE,
	SLEEP_JOB_THAW_LEFT, /* what another has left frozen; then end */
};

struct sleep_task {
	pid_t pid; /* -1: none */
	int end;   /* owned */
};

#define SLEEP_TASK_NONE ((struct sleep_task){.pid = -1, .end = -1})

struct sleep_report {
	bool thawed;	 /* about thawing, not about freezing */
	int32_t problem; /* an errno; 0: all of it done */
	uint32_t count;	 /* processes */
};

/* policy: who is meant, for the first job. */
MUST_CHECK int sleep_task_start(enum sleep_job job, const struct policy *policy,
				struct sleep_task *ret);

/* Tell one that froze to thaw. */
void sleep_task_thaw(const struct sleep_task *task);

/* Expected outcomes of sleep_task_hear(). */
enum {
	SLEEP_TASK_QUIET = 1, /* nothing to hear */
	SLEEP_TASK_GONE,      /* it will report no more */
};

MUST_CHECK int sleep_task_hear(const struct sleep_task *task,
			       struct sleep_report *ret);

/* Kill it and close its end; only sleep_task_is_gone() is left to be asked. */
void sleep_task_end(struct sleep_task *task);

/* True once the process is no more; the task is then SLEEP_TASK_NONE. */
bool sleep_task_is_gone(struct sleep_task *task);
