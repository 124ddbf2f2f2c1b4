/*
 * What any C program may call (gatekeeper/system/sandbox.c) concerns the gate's
 * own memory, clocks, signals and end, and read(), write() and close():
 *
 * read() of
 *   the group	it does not wait (FAN_NONBLOCK).  In it the kernel opens the
 *		event's descriptor: no lease holds that (O_NONBLOCK among the
 *		group's event flags), nor a file system's server (FUSE and the
 *		like are not marked).
 * write() to
 *   the group	an answer: a spinlock, a wake-up
 *   wake	the store's eventfd, which takes 2^64 - 2 of such writes
 *   stderr	only where poll() says that there is room (log.c)
 * close() of
 *   an event	flushes what is open to read only: nothing, but for file
 *		systems with a server, which are not marked.  What is large
 *		and may be deleted by now is freed by it: the spare's to
 *		close (gate_table_leave())
 *   /proc/...	frees memory
 */

#include "fanotify/calls.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

#include "gatekeeper/system/sandbox.h"

static const int calls[] __attribute__((unused)) = {
	/*
	 * Below /proc alone, as nothing else is below our root; what the links
	 * there lead to is not opened.  It is one of our own, or a name that is
	 * looked up there would wait for whoever lists the host's, into a page
	 * that he does not have yet (process_open_proc()).  Of /proc:
	 *   TID/status	 counters and credentials, under spinlocks and RCU
	 *   TID/wchan	 looks at a stack
	 *   TID/syscall waits for whoever execs in that process to have done
	 *		 so (exec_update_lock): only of a thread that was just
	 *		 seen to wait for us, and so does not exec, nor lets
	 *		 its process do so (syscall_access.c)
	 *   self/mountinfo  names and options of our own mounts
	 * Never TID/maps, mem, environ, cmdline, stack, fd, map_files: memory
	 * and its locks are the process's to hold.
	 */
	SANDBOX_OPENAT_READ,
	/*
	 * Of those files; of a file that is asked about it would wait for its
	 * pages, and on XFS for whoever writes.
	 */
	SCMP_SYS(pread64),
	/* Of self/fd/N and TID/exe: text made from names in memory. */
	SCMP_SYS(readlinkat),
	/* Of /proc/TID, for its owner; of a policy. */
	SCMP_SYS(newfstatat),
	/*
	 * Of an event: what is known of the file; AT_STATX_DONT_SYNC, so that
	 * no server is asked.
	 */
	SCMP_SYS(statx),
	/* Of a policy, which is gatekeeper's memory: its size, its seals. */
	SCMP_SYS(fstat),
	SCMP_SYS(fcntl),
	/* PIDFD_GET_INFO: credentials, under RCU. */
	SCMP_SYS(ioctl),
	/* Finds a number, makes a descriptor. */
	SCMP_SYS(pidfd_open),
	/* To a gate that stands still: a spinlock. */
	SCMP_SYS(pidfd_send_signal),
	/* Of the group, the channel to gatekeeper, mountinfo, stderr. */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* To and from gatekeeper, by a socket that does not wait. */
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	/*
	 * Of an event's descriptor, by no name: takes the group's own lock,
	 * which gatekeeper has while it sets or takes away marks.
	 */
	SCMP_SYS(fanotify_mark),
	/* Lets others run first, where nobody asks us anything. */
	SCMP_SYS(sched_yield),
	SANDBOX_SCHED_SELF,
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* To fork gates and wait for them; and what a gate needs to begin. */
static const int forking[] __attribute__((unused)) = {
	SANDBOX_CLONE_FILES, SCMP_SYS(wait4),	SCMP_SYS(socketpair),
	SCMP_SYS(prctl),     SCMP_SYS(seccomp), SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit), SCMP_SYS(kill),	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getppid),
};
#define FORKING (sizeof(forking) / sizeof(forking[0]))

int calls_confine_main(int proc)
{
	static const int capabilities[] = {
		CAP_SYS_PTRACE,
		CAP_DAC_READ_SEARCH,
		CAP_SYS_NICE,
	};
	int r;

	if (fchdir(proc) < 0 || chroot(".") < 0)
		return -errno;
	r = sandbox_keep(capabilities, 3);
	if (r)
		return r;
#ifdef LEASH_NO_SECCOMP /* sanitizers make calls of their own */
	return 0;
#else
	int all[CALLS + FORKING];

	memcpy(all, calls, sizeof(calls));
	memcpy(all + CALLS, forking, sizeof(forking));
	return sandbox_enter(all, CALLS + FORKING);
#endif
}

int calls_confine_gate(void)
{
#ifdef LEASH_NO_SECCOMP
	return 0;
#else
	return sandbox_enter(calls, CALLS);
#endif
}
