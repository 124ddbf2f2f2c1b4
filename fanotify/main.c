/*
 * leash-fanotify - the file gate
 *
 * Started by gatekeeper alone, with the descriptors of wire/gate_shared.h.
 * Runs as its own user.  Reading other processes' /proc/PID/exe takes
 * CAP_SYS_PTRACE, and /proc/PID/syscall, whose mode is 0400,
 * CAP_DAC_READ_SEARCH; coming before a crowd (herd.h), CAP_SYS_NICE.  So that
 * none reaches further, /proc becomes its root before it says it is ready: no
 * slip of ours can open a file that is marked.
 */

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fanotify/gate.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/base/sandbox.h"
#include "gatekeeper/wire/message.h"

static int confine(void)
{
	static const int capabilities[] = {
		CAP_SYS_PTRACE,
		CAP_DAC_READ_SEARCH,
		CAP_SYS_NICE,
	};
	static const int syscalls[] __attribute__((unused)) = {
		SANDBOX_OPENAT_READ,	 SCMP_SYS(readlinkat),
		SCMP_SYS(fstat),	 SCMP_SYS(newfstatat),
		SCMP_SYS(statx),	 SCMP_SYS(pread64),
		SCMP_SYS(lseek),	 SCMP_SYS(ioctl),
		SCMP_SYS(pidfd_open),	 SCMP_SYS(poll),
		SCMP_SYS(ppoll),	 SCMP_SYS(kcmp),
		SCMP_SYS(recvmsg),	 SCMP_SYS(sendmsg),
		SCMP_SYS(fcntl),	 SCMP_SYS(sched_yield),
		SCMP_SYS(fanotify_mark), SANDBOX_SCHED_SELF,
	};

	int r;

	if (chroot("/proc") < 0 || chdir("/") < 0)
		return -errno;
	r = sandbox_keep(capabilities, 3);
	if (r)
		return r;
#ifdef LEASH_NO_SECCOMP /* sanitizers make calls of their own */
	return 0;
#else
	return sandbox_enter(syscalls, sizeof(syscalls) / sizeof(syscalls[0]));
#endif
}

static int map_shared(struct gate_shared **ret)
{
	void *memory =
		mmap(NULL, sizeof(struct gate_shared), PROT_READ | PROT_WRITE,
		     MAP_SHARED, HELPER_FD_SHARED, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret = memory;
	return 0;
}

static int run(void)
{
	CLEANUP(channel_free) struct channel *channel = NULL;
	CLEANUP(gate_free) struct gate *gate = NULL;
	struct gate_ends ends = {
		.control = HELPER_FD_CONTROL,
		.wake = HELPER_FD_WAKE,
		.group = HELPER_FD_GROUP,
	};
	const struct message ready = {.type = MESSAGE_READY};
	int r;

	r = map_shared(&ends.shared);
	if (!r)
		r = channel_map(HELPER_FD_CHANNEL, &channel);
	if (r)
		return r;
	ends.channel = channel;
	r = gate_new(&ends, &gate);
	if (!r)
		r = confine();
	if (!r)
		r = message_send(HELPER_FD_CONTROL, &ready, -1);
	if (!r)
		r = gate_run(gate);
	return r;
}

int main(void)
{
	int r;

	log_start("leash-fanotify");
	/* Ctrl-C is for gatekeeper, which stops us in good order. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	r = run();
	if (r) {
		errno = -r;
		log_error("cannot go on: %m");
		return 1;
	}
	return 0;
}
