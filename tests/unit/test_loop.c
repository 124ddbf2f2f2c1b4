/* Sources come and go while they are told of; tasks end, and hold nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"
#include "gatekeeper/base/fd.h"
#include "gatekeeper/system/loop.h"
#include "gatekeeper/system/task.h"

struct counted {
	struct loop_source source;
	struct loop_source *removes; /* when it is called, or NULL */
	int ends[2];
	int calls;
};

static void count(void *context)
{
	struct counted *counted = context;

	counted->calls++;
	if (counted->removes)
		loop_remove(counted->removes);
}

static void begin(struct counted *counted, struct loop *loop)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, counted->ends),
			 0);
	counted->source = (struct loop_source){
		.fd = counted->ends[0],
		.happened = count,
		.context = counted,
	};
	assert_int_equal(loop_add(loop, &counted->source), 0);
	assert_int_equal(send(counted->ends[1], "x", 1, 0), 1);
}

static void end(struct counted *counted)
{
	loop_remove(&counted->source);
	fd_close(counted->ends[0]);
	fd_close(counted->ends[1]);
}

/* Both are ready; whoever is called first takes the other out. */
static void removed_meanwhile(void **state)
{
	struct counted one = {.calls = 0}, other = {.calls = 0};
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	begin(&one, loop);
	begin(&other, loop);
	one.removes = &other.source;
	other.removes = &one.source;
	assert_int_equal(loop_turn(loop, 0), 1);
	assert_int_equal(one.calls + other.calls, 1);
	assert_int_equal(loop_turn(loop, 0), 1); /* who is left, once more */
	end(&one);
	end(&other);
	assert_int_equal(loop_turn(loop, 0), 0);
	loop_free(loop);
}

/* A child has a copy of what was closed: the loop is told no more. */
static void closed_with_a_copy(void **state)
{
	struct counted counted = {.calls = 0};
	struct loop *loop;
	pid_t child;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	begin(&counted, loop);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	end(&counted);
	assert_int_equal(loop_turn(loop, 20), 0);
	assert_int_equal(counted.calls, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	loop_free(loop);
}

static void in_another(void **state)
{
	struct counted counted = {.calls = 0};
	struct loop *outer, *inner;
	struct loop_source source = {.happened = count};

	(void)state;
	assert_int_equal(loop_new(&outer), 0);
	assert_int_equal(loop_new(&inner), 0);
	source.fd = loop_fd(inner);
	source.context = &counted;
	assert_int_equal(loop_add(outer, &source), 0);
	assert_int_equal(loop_turn(outer, 0), 0);
	begin(&counted, inner);
	assert_int_equal(loop_turn(outer, 0), 1);
	assert_int_equal(loop_turn(inner, 0), 1);
	assert_int_equal(counted.calls, 2);
	end(&counted);
	loop_remove(&source);
	loop_free(inner);
	loop_free(outer);
}

struct job {
	struct task task;
	int stranger; /* a descriptor that no task is to have */
	int sleeps;   /* instead of answering */
	char heard[16];
	ssize_t length; /* -1: nothing yet */
};

static int run(void *context, int to)
{
	const struct job *job = context;

	while (job->sleeps)
		pause();
	if (fcntl(job->stranger, F_GETFD) >= 0)
		return send(to, "stranger", 8, 0) != 8;
	return send(to, "done", 4, 0) != 4;
}

static void hear(void *context)
{
	struct job *job = context;

	job->length = recv(job->task.end, job->heard, sizeof(job->heard),
			   MSG_DONTWAIT);
	task_end(&job->task);
}

static void start(struct job *job, struct loop *loop, int64_t allowed_ns)
{
	const struct task_job of = {
		.run = run,
		.heard = hear,
		.context = job,
		.allowed_ns = allowed_ns,
	};

	job->length = -1;
	assert_int_equal(task_start(loop, &of, &job->task), 0);
	assert_true(task_runs(&job->task));
}

static void task_says(void **state)
{
	struct job job = {.stranger = open("/dev/null", O_RDONLY)};
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	start(&job, loop, 0);
	assert_int_equal(loop_turn(loop, 10000), 1);
	assert_int_equal(job.length, 4);
	assert_memory_equal(job.heard, "done", 4);
	assert_false(task_runs(&job.task));
	fd_close(job.stranger);
	loop_free(loop);
}

/* One that hangs is killed once its time is up, and then heard to be gone. */
static void task_late(void **state)
{
	struct job job = {.sleeps = 1, .stranger = -1};
	struct loop *loop;
	pid_t pid;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	start(&job, loop, CLOCK_NS_PER_S);
	pid = job.task.pid;
	assert_false(task_is_late(&job.task, job.task.started_ns));
	assert_true(
		task_is_late(&job.task, job.task.started_ns + CLOCK_NS_PER_S));
	assert_int_equal(loop_turn(loop, 10000), 1);
	assert_int_equal(job.length, 0);
	assert_int_equal(kill(pid, 0), -1); /* collected, too */
	loop_free(loop);
}

/* Whoever started it dies: so does the task, whatever it is at. */
static void task_orphaned(void **state)
{
	struct job job = {.sleeps = 1, .stranger = -1};
	int ends[2];
	pid_t parent;
	char byte;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	parent = fork();
	if (parent == 0) {
		struct loop *loop;

		if (loop_new(&loop))
			_exit(1);
		job.stranger = ends[1];
		start(&job, loop, 0);
		/* Only the task's death is left to close the pipe. */
		kill(getpid(), SIGKILL);
	}
	close(ends[1]);
	waitpid(parent, NULL, 0);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removed_meanwhile),
		cmocka_unit_test(closed_with_a_copy),
		cmocka_unit_test(in_another),
		cmocka_unit_test(task_says),
		cmocka_unit_test(task_late),
		cmocka_unit_test(task_orphaned),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
