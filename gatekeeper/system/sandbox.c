#include "gatekeeper/system/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

static int select_capabilities(const int *capabilities, size_t count,
			       capng_type_t sets)
{
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; i < count; i++)
		if (capng_update(CAPNG_ADD, sets,
				 (unsigned int)capabilities[i]))
			return -EPERM;
	return 0;
}

int sandbox_become(uid_t uid, gid_t gid, const int *capabilities, size_t count)
{
	const capng_flags_t flags = CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING;
	int r = select_capabilities(capabilities, count,
				    CAPNG_EFFECTIVE | CAPNG_PERMITTED |
					    CAPNG_INHERITABLE);

	if (r)
		return r;
	if (capng_change_id((int)uid, (int)gid, flags))
		return -EPERM;
	for (size_t i = 0; i < count; i++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE,
			  (unsigned long)capabilities[i], 0, 0))
			return -errno;
	return 0;
}

int sandbox_keep(const int *capabilities, size_t count)
{
	int r;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	r = select_capabilities(capabilities, count,
				CAPNG_EFFECTIVE | CAPNG_PERMITTED);
	if (r)
		return r;
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

static int allow(scmp_filter_ctx filter, int syscall)
{
	if (syscall == SANDBOX_OPENAT_READ)
		return seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDONLY));
	if (syscall == SANDBOX_SCHED_SELF)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW,
					SCMP_SYS(sched_setscheduler), 1,
					SCMP_A0(SCMP_CMP_EQ, 0, 0));
	if (syscall == SANDBOX_CLONE_FILES)
		return seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_EQ,
				CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0));
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, syscall, 0);
}

int sandbox_enter(const int *syscalls, size_t count)
{
	static const int always[] = {
		SCMP_SYS(read),
		SCMP_SYS(write),
		SCMP_SYS(writev),
		SCMP_SYS(poll), /* base/log.c asks before it writes */
		SCMP_SYS(ppoll),
		SCMP_SYS(close),
		SCMP_SYS(exit),
		SCMP_SYS(exit_group),
		SCMP_SYS(rt_sigreturn),
		SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigaction),
		SCMP_SYS(sigaltstack),
		SCMP_SYS(futex),
		SCMP_SYS(brk),
		SCMP_SYS(mmap),
		SCMP_SYS(munmap),
		SCMP_SYS(mremap),
		SCMP_SYS(mprotect),
		SCMP_SYS(madvise),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(gettimeofday),
		SCMP_SYS(time),
		SCMP_SYS(getrandom),
		SCMP_SYS(getpid),
		SCMP_SYS(gettid),
		SCMP_SYS(tgkill),
		SCMP_SYS(restart_syscall),
		SCMP_SYS(nanosleep),
		SCMP_SYS(clock_nanosleep),
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = 0;

	if (!filter)
		return -ENOMEM;
	for (size_t i = 0; !r && i < sizeof(always) / sizeof(always[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, always[i], 0);
	for (size_t i = 0; !r && i < count; i++)
		r = allow(filter, syscalls[i]);
	if (!r) /* sets no_new_privs too */
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}
