/*
 * leash-store - writes the verdict log
 *
 * Started by gatekeeper alone, with the descriptors of wire/gate_table.h and
 * the arguments PATH KEEP_DAYS MAX_MB.  Runs as its own user without any
 * capability, below everything else in priority: the log is never a reason
 * for somebody to wait.
 */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gatekeeper/base/channel.h"
#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/system/sandbox.h"
#include "gatekeeper/wire/helper_fds.h"
#include "gatekeeper/wire/message.h"
#include "store/drain.h"

#define SLEEP_MS_MAX 60000

static int confine(void)
{
	static const int syscalls[] __attribute__((unused)) = {
		SCMP_SYS(openat),      SCMP_SYS(open),
		SCMP_SYS(stat),	       SCMP_SYS(fstat),
		SCMP_SYS(lstat),       SCMP_SYS(newfstatat),
		SCMP_SYS(statx),       SCMP_SYS(access),
		SCMP_SYS(faccessat),   SCMP_SYS(faccessat2),
		SCMP_SYS(pread64),     SCMP_SYS(pwrite64),
		SCMP_SYS(lseek),       SCMP_SYS(fcntl),
		SCMP_SYS(ftruncate),   SCMP_SYS(fallocate),
		SCMP_SYS(fsync),       SCMP_SYS(fdatasync),
		SCMP_SYS(unlink),      SCMP_SYS(unlinkat),
		SCMP_SYS(rename),      SCMP_SYS(renameat),
		SCMP_SYS(renameat2),   SCMP_SYS(readlink),
		SCMP_SYS(readlinkat),  SCMP_SYS(getcwd),
		SCMP_SYS(geteuid),     SCMP_SYS(getuid),
		SCMP_SYS(fchmod),      SCMP_SYS(fchown),
		SCMP_SYS(utimensat),   SCMP_SYS(poll),
		SCMP_SYS(ppoll),       SCMP_SYS(recvmsg),
		SCMP_SYS(sendmsg),     SCMP_SYS(sysinfo),
		SCMP_SYS(sched_yield), SCMP_SYS(uname),
	};

#ifdef LEASH_NO_SECCOMP
	return 0;
#else
	return sandbox_enter(syscalls, sizeof(syscalls) / sizeof(syscalls[0]));
#endif
}

static void step_down(void)
{
	const struct sched_param batch = {.sched_priority = 0};

	/* Neither matters enough to fail for. */
	if (sched_setscheduler(0, SCHED_BATCH, &batch) ||
	    setpriority(PRIO_PROCESS, 0, 10))
		log_info("cannot lower my priority: %m");
}

/* Wait for work or word from gatekeeper.  True: stop. */
static bool wait_for_word(int wait_ms)
{
	struct pollfd ends[] = {
		{.fd = HELPER_FD_CONTROL, .events = POLLIN},
		{.fd = HELPER_FD_WAKE, .events = POLLIN},
	};
	struct message message;
	uint64_t wakes;
	int fd = -1;

	if (wait_ms < 0 || wait_ms > SLEEP_MS_MAX)
		wait_ms = SLEEP_MS_MAX; /* housekeeping is due then */
	if (poll(ends, 2, wait_ms) <= 0)
		return false;
	if (ends[1].revents &&
	    read(HELPER_FD_WAKE, &wakes, sizeof(wakes)) < 0 && errno != EAGAIN)
		return true;
	if (!ends[0].revents)
		return false;
	switch (message_receive(HELPER_FD_CONTROL, &message, &fd)) {
	case 0:
		fd_close(fd);
		return message.type == MESSAGE_STOP;
	case MESSAGE_NONE:
		return false;
	default:
		return true;
	}
}

/*
 * gatekeeper gone without a word: the gate at work may live on, and its
 * records are worth keeping for as long as it does.  Nothing tells us when it
 * ends, but a new gatekeeper will end us both.
 */
static bool orphaned(bool *ret_alone)
{
	struct pollfd control = {.fd = HELPER_FD_CONTROL, .events = POLLIN};

	if (poll(&control, 1, 0) > 0 && (control.revents & POLLHUP))
		*ret_alone = true;
	return *ret_alone;
}

static int work(struct drain *drain)
{
	bool alone = false, stop = false;

	while (!stop) {
		int wait_ms;
		int r = drain_turn(drain, &wait_ms);

		if (r)
			return r;
		if (orphaned(&alone))
			poll(NULL, 0, 200);
		else
			stop = wait_for_word(wait_ms) && !orphaned(&alone);
	}
	return drain_finish(drain);
}

static int run(char **arguments)
{
	CLEANUP(channel_free) struct channel *gatekeeper = NULL;
	CLEANUP(channel_free) struct channel *gate = NULL;
	CLEANUP(channel_free) struct channel *net = NULL;
	CLEANUP(channel_free) struct channel *tool = NULL;
	CLEANUP(drain_free) struct drain *drain = NULL;
	const struct message ready = {.type = MESSAGE_READY};
	const struct drain_limits limits = {
		.keep_ns = strtoll(arguments[2], NULL, 10) * 24 * 3600 *
			   CLOCK_NS_PER_S,
		.max_bytes = strtoull(arguments[3], NULL, 10) << 20,
	};
	struct channel *channels[DRAIN_CHANNELS];
	int r;

	umask(0027); /* the log: for _leash and its group's readers alone */
	step_down();
	r = channel_map(HELPER_FD_STORE_GATEKEEPER, &gatekeeper);
	if (!r)
		r = channel_map(HELPER_FD_STORE_GATE, &gate);
	if (!r)
		r = channel_map(HELPER_FD_STORE_NET, &net);
	if (!r)
		r = channel_map(HELPER_FD_STORE_TOOL, &tool);
	if (r)
		return r;
	channels[0] = gatekeeper;
	channels[1] = gate;
	channels[2] = net;
	channels[3] = tool;
	r = drain_new(arguments[1], channels, &limits, &drain);
	if (!r)
		r = confine();
	if (!r)
		r = message_send(HELPER_FD_CONTROL, &ready, -1);
	return r ? r : work(drain);
}

int main(int argc, char **argv)
{
	int r;

	log_start("leash-store");
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (argc != 4) {
		log_error("is started by gatekeeper, not by hand");
		return 2;
	}
	r = run(argv);
	if (r) {
		errno = -r;
		log_error("cannot go on: %m");
		return 1;
	}
	return 0;
}
