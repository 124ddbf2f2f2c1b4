/* What a confined process may still do, and what not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/sandbox.h"

/* In a child: 0 where open() has the outcome wanted. */
static int try_open(int flags, int wanted)
{
	static const int syscalls[] = {SANDBOX_OPENAT_READ};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fd;

		if (sandbox_enter(syscalls, 1))
			_exit(2);
		fd = open("/dev/null", flags);
		_exit((fd < 0 ? errno : 0) == wanted ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void opens_to_read_only(void **state)
{
	(void)state;
	assert_int_equal(try_open(O_RDONLY, 0), 0);
	assert_int_equal(try_open(O_RDONLY | O_CLOEXEC, 0), 0);
	assert_int_equal(try_open(O_WRONLY, EPERM), 0);
	assert_int_equal(try_open(O_RDWR | O_CLOEXEC, EPERM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_to_read_only),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
