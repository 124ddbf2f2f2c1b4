#include "gatekeeper/helpers/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/helpers/starter.h"
#include "gatekeeper/wire/message.h"

/* A process told to die does so at once, unless the kernel holds it. */
#define DIE_MS 500

int helper_start(struct starter *starter, const struct helper_spec *spec,
		 struct helper *ret)
{
	CLEANUP(fd_close) int ours = -1;
	CLEANUP(fd_close) int theirs = -1;
	int ends[2], fds[HELPER_FDS_MAX + 1];
	pid_t pid = -1;
	int pidfd, r;

	if (spec->fd_count > HELPER_FDS_MAX)
		return -E2BIG;
	r = message_pair(ends);
	if (r)
		return r;
	ours = ends[0];
	theirs = ends[1];
	fds[0] = theirs;
	memcpy(fds + 1, spec->fds, spec->fd_count * sizeof(int));

	r = starter_start(starter, spec, fds, spec->fd_count + 1, &pid);
	if (r)
		return r;
	/* Ours, so its number stays its own until we have waited for it. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = -errno;
		kill(pid, SIGKILL);
		return r;
	}
	*ret = (struct helper){
		.pid = pid,
		.pidfd = pidfd,
		.control = STEAL_FD(ours),
		.state = HELPER_STARTING,
		.started_ns = clock_monotonic_ns(),
	};
	return 0;
}

int helper_reap(struct helper *helper)
{
	int status = 0;

	if (helper->pid > 0 && helper_wait(helper, DIE_MS))
		waitpid(helper->pid, &status, WNOHANG);
	else if (helper->pid > 0)
		log_warning("process %d hangs in the kernel; going on without "
			    "it",
			    (int)helper->pid);
	fd_close(helper->pidfd);
	fd_close(helper->control);
	*helper = HELPER_EMPTY;
	return status;
}

void helper_kill(const struct helper *helper)
{
	if (helper->pid > 0)
		kill(helper->pid, SIGKILL);
}

bool helper_wait(const struct helper *helper, int timeout_ms)
{
	struct pollfd dead = {.fd = helper->pidfd, .events = POLLIN};
	int r;

	if (helper->pid < 0)
		return true;
	do
		r = poll(&dead, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

const char *helper_fate(int status, char buffer[static 64])
{
	if (WIFSIGNALED(status))
		snprintf(buffer, 64, "killed by signal %d (%s)",
			 WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(buffer, 64, "ended with status %d",
			 WEXITSTATUS(status));
	return buffer;
}
