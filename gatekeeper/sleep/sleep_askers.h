#pragma once

/*
 * sleep_askers - who wants the machine to sleep
 *
 * A fanotify group of its own that is asked about opens of /sys/power/state,
 * and told when it is written to and closed.  Asked: opens by root that may
 * write.  Everybody else is answered at once; so are root's where a leashed
 * account has a part in them by any of its uids, since an account must not
 * have the others frozen.
 *
 * Nobody is refused, and nobody waits for more than SLEEP_ASKERS_HOLD_NS.
 * Opens nothing but in /proc, once it is made.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/policy/image.h"

#define SLEEP_ASKERS_FILE    "/sys/power/state"
#define SLEEP_ASKERS_HOLD_NS (10 * CLOCK_NS_PER_S)

struct sleep_askers;

/*
 * Whether waiting for a gate keeps a machine awake whose kernel is of this
 * release.  One that cannot be read does.
 */
bool sleep_askers_are_needed(const char *release);

/* -ENOENT where the machine cannot sleep. */
MUST_CHECK int sleep_askers_new(struct sleep_askers **ret);

/* Who waits goes on. */
struct sleep_askers *sleep_askers_free(struct sleep_askers *askers);
DEFINE_CLEANUP(struct sleep_askers *, sleep_askers_free)

/* Readable when there is something to hear. */
int sleep_askers_fd(const struct sleep_askers *askers);

/*
 * Take what has happened.  True when something was written to the file: the
 * machine has slept.  policy: who is leashed.
 */
bool sleep_askers_hear(struct sleep_askers *askers,
		       const struct policy *policy);

/* Every 100 ms: those of whom it is not known yet what they want. */
void sleep_askers_tick(struct sleep_askers *askers, int64_t now_ns);

/* How many wait for an answer, and how many have the file open. */
size_t sleep_askers_waiting(const struct sleep_askers *askers);
size_t sleep_askers_inside(const struct sleep_askers *askers);

/* Let those who wait open it. */
void sleep_askers_answer(struct sleep_askers *askers);

/* Whoever has it open counts no more. */
void sleep_askers_forget(struct sleep_askers *askers);

/* Whether the text of /proc/TID/syscall is that of an open that only reads. */
bool sleep_askers_is_reading(const char *text);
