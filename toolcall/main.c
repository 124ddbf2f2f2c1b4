/*
 * leash-toolcall - the tool gate
 *
 * Started by gatekeeper alone, with the descriptors of wire/gate_shared.h.
 * Runs as its own user without any capability: what it reads was written by
 * the agent, and what it judges by is mapped memory.  It may look where a
 * symlink leads, since that is what rules are about, and write the folder of
 * pinned definitions, which is all that is its own.
 */

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "gatekeeper/base/log.h"
#include "gatekeeper/base/sandbox.h"
#include "gatekeeper/wire/gate_shared.h"
#include "gatekeeper/wire/message.h"
#include "toolcall/server.h"

static int confine(void)
{
	static const int syscalls[] __attribute__((unused)) = {
		SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
		SCMP_SYS(epoll_ctl),  SCMP_SYS(accept4),
		SCMP_SYS(recvfrom),   SCMP_SYS(sendto),
		SCMP_SYS(recvmsg),    SCMP_SYS(sendmsg),
		SCMP_SYS(getsockopt), SCMP_SYS(fstat),
		SCMP_SYS(newfstatat), SCMP_SYS(statx),
		SCMP_SYS(stat),	      SCMP_SYS(lstat),
		SCMP_SYS(readlink),   SCMP_SYS(readlinkat),
		SCMP_SYS(getcwd),     SCMP_SYS(fcntl),
		SCMP_SYS(mremap),     SCMP_SYS(madvise),
		SCMP_SYS(openat),     SCMP_SYS(renameat),
		SCMP_SYS(renameat2),  SCMP_SYS(fsync),
		SCMP_SYS(getdents64), SCMP_SYS(lseek),
		SCMP_SYS(pread64),
	};
	int r = sandbox_keep(NULL, 0);

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
	CLEANUP(judge_free) struct judge *judge = NULL;
	CLEANUP(pins_free) struct pins *pins = NULL;
	CLEANUP(server_free) struct server *server = NULL;
	const struct message ready = {.type = MESSAGE_READY};
	struct server_ends ends = {
		.control = HELPER_FD_CONTROL,
		.wake = HELPER_FD_WAKE,
		.listener = HELPER_FD_TOOL_LISTENER,
	};
	int r = channel_map(HELPER_FD_TOOL_CHANNEL, &channel);

	if (r)
		return r;
	ends.channel = channel;
	/* What passes here must not end in a core dump. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if (sodium_init() < 0)
		return -EIO;
	r = judge_new(&judge);
	if (!r)
		r = pins_new(HELPER_FD_TOOL_PINS, &pins);
	if (!r)
		r = server_new(&ends, judge, pins, &server);
	if (!r)
		r = confine();
	if (!r)
		r = message_send(HELPER_FD_CONTROL, &ready, -1);
	return r ? r : server_run(server);
}

int main(void)
{
	int r;

	log_start("leash-toolcall");
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
