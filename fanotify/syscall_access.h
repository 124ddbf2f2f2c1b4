#pragma once

/*
 * syscall_access - is a file being opened to be read, written, or run?
 *
 * A permission event does not say.  But the thread is stopped inside its
 * system call, and /proc/TID/syscall shows the call's number and registers.
 * Where flags are in a register they are the very ones the kernel used; where
 * they are in memory (openat2) or elsewhere (io_uring) another thread could
 * have changed them, and the open counts as writing.  A worker of io_uring's
 * has the registers of the thread that it was made by, but no place in the
 * program.
 *
 * They are the registers of that call, and not what the kernel does now, where
 * it opens a file on the thread's way out of the call: judge.c doubts them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/vocabulary.h"

struct syscall_access {
	enum policy_access access; /* READ, WRITE or EXEC */
	bool makes_unnamed;	   /* O_TMPFILE: a new file without a name */
};

/* Expected outcome. */
enum {
	SYSCALL_ACCESS_RUNNING = 1, /* not asleep yet: look again later */
};

/* Judge the text of /proc/TID/syscall. */
MUST_CHECK int syscall_access_parse(const char *text,
				    struct syscall_access *ret);

/*
 * Look at thread tid, below /proc, whose descriptor is proc.  Writing, where
 * it cannot be found out.
 *
 * A thread may have asked and not yet gone to sleep, for as long as it is
 * denied a processor.  The kernel would make us wait for that: so look first
 * whether it sleeps (/proc/TID/wchan), and say SYSCALL_ACCESS_RUNNING.  And if
 * it sleeps elsewhere, it is not the thread that asked any more, but one that
 * has taken its number by exec, and may hold the lock that /proc/TID/syscall
 * waits for (signal->exec_update_lock): then it is not read.
 */
MUST_CHECK int syscall_access_of(int proc, pid_t tid,
				 struct syscall_access *ret);
