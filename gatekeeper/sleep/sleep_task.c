/*
 * Between fork and exit nothing is opened but in /proc and in the cgroup
 * filesystem, and the first thing done is to close what was inherited: this
 * process must not be the last to hold a fanotify group.
 */

#include "gatekeeper/sleep/sleep_task.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/task.h"
#include "gatekeeper/sleep/freezer.h"
#include "gatekeeper/wire/message.h"

#define END	      3	 /* where the child has its end */
#define LOOK_EARLY_MS 5	 /* between two looks while they are being frozen */
#define LOOK_LATE_MS  50 /* and while all stand still */
#define CLEAN_SWEEPS  2

/* Any of the four: a setuid program stays on the leash. */
static bool is_leashed(void *context, const struct process_ids *ids)
{
	for (int i = 0; i < 4; i++)
		if (policy_account_of(context, ids->uids[i]) != POLICY_NONE)
			return true;
	return false;
}

static void report(bool thawed, int problem, size_t count)
{
	const struct sleep_report report = {
		.thawed = thawed,
		.problem = -problem,
		.count = (uint32_t)count,
	};

	/* Whom could it be told when that fails? */
	if (send(END, &report, sizeof(report), MSG_NOSIGNAL) < 0)
		errno = 0;
}

enum word {
	WORD_NONE,
	WORD_THAW,
	WORD_ALONE, /* the parent is gone */
};

static enum word wait_for_word(int timeout_ms)
{
	struct pollfd end = {.fd = END, .events = POLLIN};
	char byte;

	if (poll(&end, 1, timeout_ms) <= 0)
		return WORD_NONE;
	return recv(END, &byte, 1, MSG_DONTWAIT) == 1 ? WORD_THAW : WORD_ALONE;
}

/* Whether all are in place and stand still; the errno that prevents it. */
static int freeze_all(struct freezer *freezer, enum word *word)
{
	int64_t end_ns = clock_monotonic_ns() + SLEEP_TASK_FREEZE_NS;
	int clean = 0, problem = 0;

	for (;;) {
		int r = freezer_sweep(freezer);

		clean = r ? 0 : clean + 1;
		problem = r < 0 ? r : -ETIMEDOUT;
		if (clean >= CLEAN_SWEEPS && freezer_stands_still(freezer))
			return 0;
		if (clock_monotonic_ns() > end_ns)
			return problem;
		*word = wait_for_word(r ? 0 : LOOK_EARLY_MS);
		if (*word)
			return -ECANCELED;
	}
}

static void freeze(const struct policy *policy)
{
	CLEANUP(freezer_free) struct freezer *freezer = NULL;
	enum word word = WORD_NONE;
	int r = freezer_new(is_leashed, (void *)policy, &freezer);

	if (r) {
		report(false, r, 0);
		return;
	}
	r = freeze_all(freezer, &word);
	if (r != -ECANCELED)
		report(false, r, freezer_count(freezer));
	while (!word && !(word = wait_for_word(LOOK_LATE_MS)))
		if (freezer_sweep(freezer) < 0)
			continue; /* whom one cannot have, one tries again */
	if (word == WORD_THAW)
		report(true, freezer_thaw(freezer), freezer_count(freezer));
}

static void thaw_left(void)
{
	int r = freezer_thaw_left();

	report(true, r < 0 ? r : 0, r < 0 ? 0 : (size_t)r);
}

struct ordered {
	enum sleep_job job;
	const struct policy *policy;
	int end;
};

static int become(void *context)
{
	const struct ordered *ordered = context;
	int end = ordered->end;
	sigset_t none;

	if (end != END && (dup2(end, END) < 0 || close(end) < 0))
		return 1;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "leash-freezer");
	if (ordered->job == SLEEP_JOB_FREEZE)
		freeze(ordered->policy);
	else
		thaw_left();
	return 0;
}

int sleep_task_start(enum sleep_job job, const struct policy *policy,
		     struct sleep_task *ret)
{
	struct ordered ordered = {.job = job, .policy = policy};
	int ends[2];
	pid_t pid;
	int r = message_pair(ends);

	if (r)
		return r;
	ordered.end = ends[1];
	pid = task_fork(&ends[1], 1, become, &ordered);
	fd_close(ends[1]);
	if (pid < 0) {
		fd_close(ends[0]);
		return (int)pid;
	}
	*ret = (struct sleep_task){.pid = pid, .end = ends[0]};
	return 0;
}

void sleep_task_thaw(const struct sleep_task *task)
{
	/* One that is gone is noticed when it is next listened to. */
	if (send(task->end, "t", 1, MSG_NOSIGNAL) < 0)
		errno = 0;
}

int sleep_task_hear(const struct sleep_task *task, struct sleep_report *ret)
{
	ssize_t n = recv(task->end, ret, sizeof(*ret), MSG_DONTWAIT);

	if (n == (ssize_t)sizeof(*ret))
		return 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return SLEEP_TASK_QUIET;
	return SLEEP_TASK_GONE;
}

void sleep_task_end(struct sleep_task *task)
{
	if (task->pid > 0)
		kill(task->pid, SIGKILL);
	task->end = fd_close(task->end);
}

bool sleep_task_is_gone(struct sleep_task *task)
{
	if (task->pid > 0 && waitpid(task->pid, NULL, WNOHANG) == 0)
		return false;
	fd_close(task->end);
	*task = SLEEP_TASK_NONE;
	return true;
}
