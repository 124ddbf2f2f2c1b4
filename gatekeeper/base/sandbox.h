#pragma once

/*
 * sandbox - what a process gives up once it has what it needs
 *
 * A helper is started by gatekeeper as root's child, changes to its own user
 * keeping the few capabilities it is for, and after its set-up forbids itself every
 * system call it does not name.  A forbidden call fails with EPERM instead of
 * killing: a gate that dies of a surprise in libc would be a worse gate.
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

/*
 * Forbid this process, for good, new privileges and every system call but the
 * count ones listed and those that any C program needs to run and to end.
 */
MUST_CHECK int sandbox_enter(const int *syscalls, size_t count);
