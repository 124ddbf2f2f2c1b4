#include "gatekeeper/system/task.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/forker.h"

#define FIRST_OWN 3 /* the standard ones stay */

/* A child told to die does so in far less, unless the kernel holds it. */
#define END_LOOKS    50
#define END_PAUSE_NS 1000000

static unsigned int next_kept(const int *keep, size_t count, unsigned int from)
{
	unsigned int next = ~0u;

	for (size_t i = 0; i < count; i++)
		if (keep[i] >= 0 && (unsigned int)keep[i] >= from &&
		    (unsigned int)keep[i] < next)
			next = (unsigned int)keep[i];
	return next;
}

void task_close_all_but(const int *keep, size_t count)
{
	unsigned int from = FIRST_OWN;

	for (;;) {
		unsigned int kept = next_kept(keep, count, from);

		if (kept > from)
			syscall(SYS_close_range, from,
				kept == ~0u ? kept : kept - 1, 0);
		if (kept == ~0u)
			return;
		from = kept + 1;
	}
}

struct child {
	const int *keep;
	size_t count;
	pid_t parent;
	int (*run)(void *context);
	void *context;
};

static int be_child(void *context)
{
	const struct child *child = context;

	task_close_all_but(child->keep, child->count);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != child->parent)
		return 1; /* it was dead before that */
	return child->run(child->context);
}

pid_t task_fork(const int *keep, size_t count, int (*run)(void *context),
		void *context)
{
	struct child child = {keep, count, getpid(), run, context};

	return forker_fork(be_child, &child);
}

void task_collect(pid_t pid)
{
	const struct timespec pause = {.tv_nsec = END_PAUSE_NS};

	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	for (int i = 0; i < END_LOOKS; i++) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&pause, NULL);
	}
}

struct begun {
	const struct task_job *job;
	int end;
};

static int be_task(void *context)
{
	const struct begun *begun = context;

	setpgid(0, 0);
	signal(SIGPIPE, SIG_IGN);
	return begun->job->run(begun->job->context, begun->end);
}

int task_start(struct loop *loop, const struct task_job *job, struct task *ret)
{
	struct begun begun = {.job = job};
	int ends[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	begun.end = ends[1];
	pid = task_fork(&ends[1], 1, be_task, &begun);
	fd_close(ends[1]);
	if (pid < 0) {
		fd_close(ends[0]);
		return (int)pid;
	}
	setpgid(pid, pid); /* whoever of the two comes first */
	*ret = (struct task){
		.pid = pid,
		.end = ends[0],
		.started_ns = clock_monotonic_ns(),
		.allowed_ns = job->allowed_ns,
		.source = {.fd = ends[0],
			   .happened = job->heard,
			   .context = job->context},
	};
	r = loop_add(loop, &ret->source);
	if (r)
		task_end(ret);
	return r;
}

bool task_runs(const struct task *task)
{
	return task->pid > 0;
}

bool task_is_late(struct task *task, int64_t now_ns)
{
	if (task->pid <= 0 || !task->allowed_ns ||
	    now_ns - task->started_ns < task->allowed_ns)
		return false;
	kill(-task->pid, SIGKILL);
	task->started_ns = now_ns; /* say so again where it does not die */
	return true;
}

void task_end(struct task *task)
{
	if (task->pid <= 0)
		return;
	loop_remove(&task->source);
	kill(-task->pid, SIGKILL);
	task_collect(task->pid);
	fd_close(task->end);
	*task = (struct task){.end = -1};
}

bool task_do(int (*run)(void *context), void *context, int timeout_ms)
{
	const struct timespec pause = {.tv_nsec = END_PAUSE_NS};
	pid_t pid = task_fork(NULL, 0, run, context), ended = 0;
	int status = 1;

	for (int i = 0; pid > 0 && !ended && i < timeout_ms; i++) {
		ended = waitpid(pid, &status, WNOHANG);
		if (!ended)
			nanosleep(&pause, NULL);
	}
	if (!ended)
		task_collect(pid);
	return ended == pid && status == 0;
}
