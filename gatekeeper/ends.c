#include "gatekeeper/ends.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"

int ends_signals(int *ret)
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

int ends_tick(int *ret)
{
	const struct itimerspec every = {
		.it_interval.tv_nsec = ENDS_TICK_MS * CLOCK_NS_PER_MS,
		.it_value.tv_nsec = ENDS_TICK_MS * CLOCK_NS_PER_MS,
	};

	*ret = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (*ret < 0 || timerfd_settime(*ret, 0, &every, NULL) < 0)
		return -errno;
	return 0;
}

int ends_group(int *ret)
{
	*ret = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
				     FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS |
				     FAN_REPORT_TID,
			     O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME);
	return *ret < 0 ? -errno : 0;
}

/* The store's folder: its own, and nobody else's business. */
int ends_database_dir(const struct policy *policy)
{
	const struct policy_header *header = policy_header(policy);
	char path[4096], *folder;

	snprintf(path, sizeof(path), "%s",
		 policy_text(policy, header->database));
	folder = dirname(path);
	if (mkdir(folder, 0750) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (chown(folder, header->user_uid, header->user_gid) < 0)
		return -errno;
	return 0;
}
