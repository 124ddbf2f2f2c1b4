/*
 * leash-nfqueue - the net gate
 *
 * Started by gatekeeper alone, with the descriptors of wire/gate_table.h.
 * Runs as its own user.  Every verdict takes CAP_NET_ADMIN when it is sent;
 * finding out which process holds a socket takes CAP_SYS_PTRACE and
 * CAP_DAC_READ_SEARCH, since /proc/PID/fd is its owner's alone.  So that these
 * reach no further, /proc becomes its root, and no file can be opened for
 * writing.
 */

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/sandbox.h"
#include "gatekeeper/wire/helper_fds.h"
#include "gatekeeper/wire/message.h"
#include "nfqueue/net_gate.h"

static int confine(void)
{
	static const int capabilities[] = {
		CAP_NET_ADMIN,
		CAP_SYS_PTRACE,
		CAP_DAC_READ_SEARCH,
	};
	static const int syscalls[] __attribute__((unused)) = {
		SANDBOX_OPENAT_READ,   SCMP_SYS(readlinkat), SCMP_SYS(fstat),
		SCMP_SYS(newfstatat),  SCMP_SYS(statx),	     SCMP_SYS(pread64),
		SCMP_SYS(getdents64),  SCMP_SYS(lseek),	     SCMP_SYS(poll),
		SCMP_SYS(ppoll),       SCMP_SYS(recvmsg),    SCMP_SYS(sendmsg),
		SCMP_SYS(recvfrom),    SCMP_SYS(sendto),     SCMP_SYS(fcntl),
		SCMP_SYS(sched_yield),
	};
	int r;

	if (fchdir(HELPER_FD_NET_PROC) < 0 || chroot(".") < 0)
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

static int run(void)
{
	CLEANUP(channel_free) struct channel *channel = NULL;
	CLEANUP(net_gate_free) struct net_gate *gate = NULL;
	const struct message ready = {.type = MESSAGE_READY};
	struct net_gate_ends ends = {
		.control = HELPER_FD_CONTROL,
		.wake = HELPER_FD_WAKE,
		.dns = HELPER_FD_NET_DNS,
		.proc = HELPER_FD_NET_PROC,
	};
	int r = channel_map(HELPER_FD_NET_CHANNEL, &channel);

	if (r)
		return r;
	ends.channel = channel;
	ends.memory = mmap(NULL, sizeof(*ends.memory), PROT_READ | PROT_WRITE,
			   MAP_SHARED, HELPER_FD_NET_MEMORY, 0);
	if (ends.memory == MAP_FAILED)
		return -errno;
	r = net_gate_new(&ends, &gate);
	if (!r)
		r = confine();
	if (!r)
		r = message_send(HELPER_FD_CONTROL, &ready, -1);
	return r ? r : net_gate_run(gate);
}

int main(void)
{
	int r;

	log_start("leash-nfqueue");
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
