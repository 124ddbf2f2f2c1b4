#include "gatekeeper/system/command.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper/base/fd.h"

#define NOT_FOUND 127

static void become(char *const *arguments, int in, int out)
{
	static char *const environment[] = {
		(char *)"PATH=/usr/sbin:/sbin:/usr/bin:/bin",
		(char *)"LC_ALL=C",
		NULL,
	};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
		execvpe(arguments[0], arguments, environment);
	_exit(NOT_FOUND);
}

/* Files rather than pipes: neither side has to wait for the other. */
static int make_file(const char *text, int *ret)
{
	CLEANUP(fd_close) int fd = memfd_create("leash-command", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = text ? fd_write_all(fd, text, strlen(text)) : 0;
	if (r)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret = STEAL_FD(fd);
	return 0;
}

int command_run(char *const *arguments, const char *input,
		struct command_result *ret)
{
	CLEANUP(fd_close) int in = -1;
	CLEANUP(fd_close) int out = -1;
	size_t length;
	pid_t pid;
	int r = make_file(input, &in);

	if (!r)
		r = make_file(NULL, &out);
	if (r)
		return r;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(arguments, in, out);
	while (waitpid(pid, &ret->status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(ret->status) && WEXITSTATUS(ret->status) == NOT_FOUND)
		return -ENOENT;
	return fd_read_all(out, COMMAND_OUTPUT_MAX, &ret->output, &length);
}

void command_result_done(struct command_result *result)
{
	result->output = cleanup_free(result->output);
}
