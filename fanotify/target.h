#pragma once

/*
 * target - what is being opened: the facts behind an event's descriptor
 *
 * Nothing is opened to find them out.  Everything is read through the event's
 * own descriptor, which raises no event.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/system/mount_table.h"
#include "gatekeeper/policy/decide.h"

#define TARGET_PATH_MAX 4096

struct target {
	char path[TARGET_PATH_MAX + 1]; /* NUL-terminated */
	size_t path_length;
	uint32_t facts; /* enum policy_fact */
	uint64_t device;
	uint64_t inode;
	uint64_t size;
	uint64_t allocated; /* bytes on its disk */
	int64_t changed_ns;
	uint32_t mode;
	uint32_t owner;
};

/*
 * Begin a target: everything but its path.  What cannot be had becomes a
 * fact, here as there.
 */
void target_identify(int fd, struct mount_table *mounts, struct target *ret);

/* Find out the path of what was identified; fds_dir is /proc/self/fd. */
void target_name(int fds_dir, int fd, struct target *target);

/* What is to be asked of the policy about it; the rest is the caller's. */
struct policy_question target_question(const struct target *target,
				       uint32_t account, enum policy_kind kind,
				       int64_t now_s);

/* Whether, by its owner and modes, no account may write to it. */
bool target_is_closed(const struct target *target, const struct policy *policy);

/*
 * A file made by O_TMPFILE has no name yet: judge it by its folder.  Turns
 * "DIR/#INODE (deleted)" into "DIR/#INODE" and withdraws the fact.
 */
void target_accept_unnamed(struct target *target);

/*
 * Whether to free it may take long, should it be deleted by now: it is large,
 * and not root's.
 */
bool target_is_heavy(const struct target *target);

/* Whether its name is a library's: libc.so.6, libm-2.36.so */
bool target_is_library_name(const struct target *target);

/*
 * Whether a loader could be made to run it against the policy: any regular
 * file, unless it is root's, no account may write to it, nobody may run it by
 * its modes, and it has no library's name.
 */
bool target_may_be_program(const struct target *target,
			   const struct policy *policy);
