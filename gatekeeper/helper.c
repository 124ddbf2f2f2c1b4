#include "gatekeeper/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/base/log.h"
#include "gatekeeper/base/sandbox.h"
#include "gatekeeper/wire/gate_shared.h"
#include "gatekeeper/wire/message.h"

#define FDS_MAX	   8
#define FD_PARKING 64 /* above every number that is to be given out */

/* Move fds to their places; all at once, since one may sit on another's. */
static int place_fds(const int *fds, size_t count)
{
	int parked[FDS_MAX + 1];

	for (size_t i = 0; i < count; i++) {
		parked[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_PARKING);
		if (parked[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < count; i++)
		if (dup2(parked[i], HELPER_FD_CONTROL + (int)i) < 0)
			return -errno;
	if (syscall(SYS_close_range, HELPER_FD_CONTROL + (unsigned int)count,
		    ~0u, 0) < 0)
		return -errno;
	return 0;
}

static void die_last(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* Without CAP_SYS_RESOURCE this fails, and must not matter. */
	if (fd >= 0 && write(fd, "-900", 4) < 0)
		errno = 0;
	fd_close(fd);
}

static void become_helper(const struct helper_spec *spec, const int *fds)
{
	sigset_t none;
	int r;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	die_last();
	if (setpriority(PRIO_PROCESS, 0, spec->priority))
		errno = 0; /* not worth failing for */
	r = place_fds(fds, spec->fd_count + 1);
	if (!r)
		r = sandbox_become(spec->uid, spec->gid, spec->capabilities,
				   spec->capability_count);
	if (!r) {
		execv(spec->program, spec->arguments);
		r = -errno;
	}
	errno = -r;
	log_error("cannot start %s: %m", spec->program);
	_exit(127);
}

int helper_start(const struct helper_spec *spec, struct helper *ret)
{
	CLEANUP(fd_close) int ours = -1;
	CLEANUP(fd_close) int theirs = -1;
	int ends[2], fds[FDS_MAX + 1];
	pid_t pid;
	int pidfd, r;

	r = message_pair(ends);
	if (r)
		return r;
	ours = ends[0];
	theirs = ends[1];
	fds[0] = theirs;
	memcpy(fds + 1, spec->fds, spec->fd_count * sizeof(int));

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_helper(spec, fds);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
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

	if (helper->pid > 0)
		waitpid(helper->pid, &status, 0);
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
