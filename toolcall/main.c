/*
 * leash-toolcall - the tool gate
 *
 * Started by gatekeeper alone, with the descriptors of wire/gate_table.h.
 * Runs as its own user without any capability: what it reads was written by
 * the agent, and what it judges by is mapped memory.  It may look where a
 * symlink leads, since that is what rules are about, and write the folder of
 * pinned definitions, which is all that is its own.
 */

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "gatekeeper/base/log.h"
#include "gatekeeper/system/sandbox.h"
#include "gatekeeper/wire/helper_fds.h"
#include "gatekeeper/wire/message.h"
#include "toolcall/server.h"

/*
 * Of address space: 256 MiB that clients may keep (budget.h), what one request
 * becomes while it is judged, the rules and two policies.  What does not fit is
 * refused for want of memory; without the bound a machine could be short of it
 * before we are.
 */
#define MEMORY_MAX ((rlim_t)1 << 30)

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW_MEMORY 1
#endif
#endif

static int bound_memory(void)
{
#ifdef HAS_SHADOW_MEMORY /* terabytes of it */
	return 0;
#else
	const struct rlimit limit = {MEMORY_MAX, MEMORY_MAX};

	return setrlimit(RLIMIT_AS, &limit) < 0 ? -errno : 0;
#endif
}

/*
 * Gatekeeper spares its helpers when memory is short, since without a file gate
 * all stands still.  Without this one calls are refused for a second, so it
 * goes before what others have.  Where that cannot be said, it is not said.
 */
static void ask_for_no_mercy(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "r+e");
	int now = 0;

	if (!file)
		return;
	if (fscanf(file, "%d", &now) == 1 && now < 0) {
		rewind(file);
		fprintf(file, "0");
	}
	fclose(file);
}

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
		SCMP_SYS(pread64),    SCMP_SYS(unlinkat),
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
	int r;

	ask_for_no_mercy();
	r = bound_memory();
	if (!r)
		r = channel_map(HELPER_FD_TOOL_CHANNEL, &channel);
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
