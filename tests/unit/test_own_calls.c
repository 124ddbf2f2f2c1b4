/* The main thread may open nothing by a path; its tasks may. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"
#include "gatekeeper/own_calls.h"
#include "gatekeeper/system/forker.h"
#include "gatekeeper/system/task.h"

static bool opens(int folder, const char *path, int flags)
{
	CLEANUP(fd_close) int fd = openat(folder, path, flags | O_CLOEXEC);

	return fd >= 0;
}

static bool may_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

/* In a task: what the main thread may not. */
static int free_to(void *unused)
{
	FILE *file = fopen("/proc/self/stat", "re");

	(void)unused;
	if (!file || fclose(file))
		return 1;
	return !may_fork() || system("exec /bin/true") != 0;
}

/* The number of what is not as it should be, for the exit status. */
static int confined(void)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *const arguments[] = {(char *)"true", NULL};

	if (proc < 0 || !opens(AT_FDCWD, "/dev/null", O_RDONLY) || !may_fork())
		return 1;
	if (forker_start() || own_calls_confine())
		return 2;
#ifndef LEASH_NO_SECCOMP /* where there is no filter, tasks are all the same */
	if (opens(AT_FDCWD, "/dev/null", O_RDONLY) || errno != EPERM)
		return 3;
	if (opens(AT_FDCWD, "meson.build", O_RDONLY) || errno != EPERM)
		return 4;
	if (fopen("/dev/null", "re") || errno != EPERM)
		return 5;
	if (!opens(AT_FDCWD, "/dev/null", O_PATH) ||
	    !opens(proc, "self/stat", O_RDONLY))
		return 6;
	if (may_fork() || execv("/bin/true", arguments) != -1 || errno != EPERM)
		return 7;
#else
	(void)arguments;
#endif
	if (!task_do(free_to, NULL, 10000))
		return 8;
	return 0;
}

static void main_thread(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(confined());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_thread),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
