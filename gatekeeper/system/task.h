#pragma once

/*
 * task - a child for one job, by fork alone
 *
 * It takes nothing with it but what it is given: every descriptor that is not
 * named is closed before anything else.  Otherwise it would hold what its
 * parent holds - the lock, the fanotify group, a socket that a peer waits to
 * see closed - for as long as its job takes, and a fanotify group that is held
 * by a process which opens a file and answers no event stops the machine.
 *
 * It does not outlive its parent (SIGKILL), it has a time in which to be done,
 * and nobody waits for it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/system/loop.h"

struct task {
	pid_t pid; /* 0: none */
	int end;   /* owned: of a SOCK_SEQPACKET pair, non-blocking */
	int64_t started_ns, allowed_ns;
	struct loop_source source;
};

struct task_job {
	/* In the child, which has nothing open but end; its exit status. */
	int (*run)(void *context, int end);
	/* In the parent: end is readable, or closed as the child is gone. */
	void (*heard)(void *context);
	void *context;	    /* of both */
	int64_t allowed_ns; /* 0: for ever */
};

/* Start one, in a process group of its own, and have the loop listen to it. */
MUST_CHECK int task_start(struct loop *loop, const struct task_job *job,
			  struct task *ret);

bool task_runs(const struct task *task);

/* Kill one whose time is up, which closes its end.  True: it was just done. */
bool task_is_late(struct task *task, int64_t now_ns);

/*
 * Kill it, with what it started, whatever it was about to say, and collect it
 * if it dies at once; one that hangs in the kernel is left behind.
 */
void task_end(struct task *task);

/*
 * The job, and nothing else meanwhile: wait for its end, at most timeout_ms.
 * True: run has returned 0.  For the end, when nobody is asked about any more.
 */
bool task_do(int (*run)(void *context), void *context, int timeout_ms);

/*
 * The parts of it.  Fork a child (forker.h) in which of the descriptors above 2
 * only the count in keep are open, and which exits with what run returns.  Its
 * number, or a negative errno.
 */
MUST_CHECK pid_t task_fork(const int *keep, size_t count,
			   int (*run)(void *context), void *context);

/* Close every descriptor above 2 but the count in keep. */
void task_close_all_but(const int *keep, size_t count);

/* Kill and collect a child as task_end() does. */
void task_collect(pid_t pid);
