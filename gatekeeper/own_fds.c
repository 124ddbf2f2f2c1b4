#include "gatekeeper/own_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"

int own_fds_signals(int *ret)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	*ret = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret < 0 ? -errno : 0;
}

int own_fds_tick(int *ret)
{
	const struct itimerspec every = {
		.it_interval.tv_nsec = OWN_FDS_TICK_MS * CLOCK_NS_PER_MS,
		.it_value.tv_nsec = OWN_FDS_TICK_MS * CLOCK_NS_PER_MS,
	};

	*ret = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*ret < 0 || timerfd_settime(*ret, 0, &every, NULL) < 0)
		return -errno;
	return 0;
}

/*
 * O_NONBLOCK of the events' descriptors: the kernel opens each while the gate
 * reads it, and would wait for whoever holds a lease of the file
 * (/proc/sys/fs/lease-break-time, 45 s), the gate with it.  So it refuses that
 * one open, and has told the holder of the lease to give it up.
 */
int own_fds_group(int *ret)
{
	*ret = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
				     FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS |
				     FAN_REPORT_TID,
			     O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME |
				     O_NONBLOCK);
	return *ret < 0 ? -errno : 0;
}
