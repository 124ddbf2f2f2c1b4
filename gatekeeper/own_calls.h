#pragma once

/*
 * own_calls - what gatekeeper may no longer do once marks are live
 *
 * It must open nothing that it would be asked about, nor run a program: were
 * no gate answering at that moment, it would wait for itself, and everybody for
 * it.  So the kernel refuses its main thread (EPERM) to open by a path that
 * begins at / or at the working folder, and to fork and exec; what lies below
 * a folder that it holds, in /proc and /sys, it may open, and what is opened by
 * name alone (O_PATH) raises no question; openat2(), whose flags a filter
 * cannot see, is only used for that (system/resolve.c).  Whatever else takes
 * files or programs is a task (system/task.h), which has no such filter.
 *
 * It is there to find a mistake of ours, not to hold somebody who has taken
 * gatekeeper over.
 */

#include "gatekeeper/base/cleanup.h"

/* For this thread, for good. */
MUST_CHECK int own_calls_confine(void);
