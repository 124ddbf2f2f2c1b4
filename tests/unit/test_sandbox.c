/* What a confined process may still do, and what not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/log.h"
#include "gatekeeper/system/sandbox.h"

/* What became of a child that does that within the sandbox. */
static int try(void (*act)(void))
{
	static const int syscalls[] = {SANDBOX_OPENAT_READ};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		const struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		if (sandbox_enter(syscalls, 1))
			_exit(2);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void open_with(int flags)
{
	if (open("/dev/null", flags) < 0)
		_exit(1);
}

static void open_to_read(void)
{
	open_with(O_RDONLY);
	open_with(O_RDONLY | O_CLOEXEC);
}

static void open_to_write(void)
{
	open_with(O_WRONLY);
}

static void open_for_both(void)
{
	open_with(O_RDWR | O_CLOEXEC);
}

static void make_socket(void)
{
	if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
		_exit(1);
}

static void run_program(void)
{
	char *const words[] = {(char *)(uintptr_t) "true", NULL};

	execv("/bin/true", words);
}

static void opens_to_read_only(void **state)
{
	(void)state;
	assert_int_equal(try(open_to_read), 0);
	assert_int_equal(WTERMSIG(try(open_to_write)), SIGSYS);
	assert_int_equal(WTERMSIG(try(open_for_both)), SIGSYS);
}

static void kills_for_what_is_not_named(void **state)
{
	(void)state;
	assert_int_equal(WTERMSIG(try(make_socket)), SIGSYS);
	assert_int_equal(WTERMSIG(try(run_program)), SIGSYS);
}

/* A helper that cannot say what is wrong is no use to anybody. */
static void write_a_line(void)
{
	log_error("a line of the %s", "log");
}

static void can_write_its_log(void **state)
{
	char text[200] = "";
	int ends[2], saved = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	assert_int_equal(try(write_a_line), 0);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(ends[1]);
	close(saved);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	assert_non_null(strstr(text, "a line of the log\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_to_read_only),
		cmocka_unit_test(kills_for_what_is_not_named),
		cmocka_unit_test(can_write_its_log),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
