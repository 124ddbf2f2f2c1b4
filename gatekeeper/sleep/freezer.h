#pragma once

/*
 * freezer - stops the processes of some accounts, by cgroup
 *
 * A process that is frozen runs nothing more until it is thawed, may be frozen
 * in the middle of anything that can be interrupted, and notices nothing, which
 * is more than SIGSTOP can do.  Only whole cgroups can be frozen, and others
 * may be in the same one (cron.service and the account's jobs), so in each that
 * holds some a child is made, and they are moved there and, later, back: the
 * unit that systemd keeps there is never empty.
 *
 * The children are root's, and their name begins with FREEZER_NAME: what a
 * process has frozen, another finds and thaws.
 *
 * It takes milliseconds and may wait for the kernel's cgroup lock: for
 * processes that may wait.  Opens are made in /proc and in the cgroup
 * filesystem alone, of which nobody is asked.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/system/process.h"

#define FREEZER_NAME "leash-sleep."

struct freezer;

/* Whether a process is to be frozen. */
typedef bool (*freezer_fn)(void *context, const struct process_ids *ids);

/* 0, -ENOENT where no cgroup filesystem of version 2 is mounted, ... */
MUST_CHECK int freezer_new(freezer_fn is_meant, void *context,
			   struct freezer **ret);

/* What is frozen stays so. */
struct freezer *freezer_free(struct freezer *freezer);
DEFINE_CLEANUP(struct freezer *, freezer_free)

/*
 * Look at all processes once, and move those that are meant and not in place
 * yet.  How many there were, or a negative errno.  It goes from low numbers to
 * high ones, and a child's is above its parent's but where they begin anew: so
 * after 0 twice in a row, all are in place.
 */
MUST_CHECK int freezer_sweep(struct freezer *freezer);

/* Whether all that are in place stand still. */
bool freezer_stands_still(const struct freezer *freezer);

/* How many processes have been put in place. */
size_t freezer_count(const struct freezer *freezer);

/* Let go of all.  0, or a negative errno when some are to be tried again. */
MUST_CHECK int freezer_thaw(struct freezer *freezer);

/*
 * Let go of what some other process has frozen.  Yields how many there were,
 * or a negative errno.
 */
MUST_CHECK int freezer_thaw_left(void);

/* Where in /proc/self/mountinfo's text cgroup v2 is mounted; false: nowhere. */
bool freezer_parse_mounts(char *mountinfo, char *ret, size_t size);

/*
 * The cgroup that the text of /proc/PID/cgroup tells of.  0, -ENOENT when it
 * tells of none, -ESRCH when that cgroup is gone, -ENAMETOOLONG.
 */
MUST_CHECK int freezer_parse_cgroup(const char *text, char *ret, size_t size);

/* What the text of cgroup.events says. */
bool freezer_parse_events(const char *text);
