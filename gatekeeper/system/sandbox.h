#pragma once

/*
 * sandbox - what a process gives up once it has what it needs
 *
 * A helper is started by gatekeeper as root's child, changes to its own user
 * keeping the few capabilities it is for, and after its set-up forbids itself
 * every system call it does not name.  A forbidden call kills: whoever has made
 * a helper do what it never does gets no second try, gatekeeper says that the
 * helper died and starts another, and a call that somebody forgot to name is
 * met by the first test that comes by it, not passed over in silence.
 */

#include <stddef.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"

/*
 * Between fork() and exec(): become uid and gid for good, without
 * supplementary groups, holding only the count capabilities listed (CAP_
 * numbers of linux/capability.h) across the exec.
 */
MUST_CHECK int sandbox_become(uid_t uid, gid_t gid, const int *capabilities,
			      size_t count);

/* Keep only the count capabilities listed, of those held. */
MUST_CHECK int sandbox_keep(const int *capabilities, size_t count);

/* For sandbox_enter(): openat(), but nothing that could be written to. */
#define SANDBOX_OPENAT_READ (-100000)
/* sched_setscheduler(), for the caller alone. */
#define SANDBOX_SCHED_SELF (-100001)
/* clone(), for a process that shares the caller's descriptors. */
#define SANDBOX_CLONE_FILES (-100002)

/*
 * Forbid this process, for good, new privileges and every system call but the
 * count ones listed and those that any C program needs to run, to write a line
 * of its log and to end.
 */
MUST_CHECK int sandbox_enter(const int *syscalls, size_t count);
