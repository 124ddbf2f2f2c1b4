/*
 * On x86 a 64-bit program may also make 32-bit calls, and the number alone
 * does not tell which it made.  Both tables are used at once: no number that
 * stands here for an open that reads is, read the other way, a call that
 * opens anything.
 */

#include "fanotify/syscall_access.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "gatekeeper/base/fd.h"

/* fanotify_handle_event, or what a compiler makes of it */
#define WAITS_FOR_US "fanotify_"

struct call {
	long number;
	int flags_argument; /* -1: always for exec */
};

static const struct call calls[] = {
#ifdef SYS_open
	{SYS_open, 1},
#endif
	{SYS_openat, 2},  {SYS_open_by_handle_at, 2},
	{SYS_execve, -1}, {SYS_execveat, -1},
#ifdef __x86_64__
	{5, 1},	   /* i386 open; 64-bit fstat */
	{295, 2},  /* i386 openat; 64-bit preadv */
	{342, 2},  /* i386 open_by_handle_at; not in use */
	{11, -1},  /* i386 execve; 64-bit munmap */
	{358, -1}, /* i386 execveat; not in use */
#endif
};

static struct syscall_access by_flags(unsigned long long flags)
{
	struct syscall_access how = {.access = POLICY_ACCESS_READ};

	if ((flags & O_ACCMODE) != O_RDONLY ||
	    (flags & (O_CREAT | O_TRUNC | O_APPEND)))
		how.access = POLICY_ACCESS_WRITE;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		how.access = POLICY_ACCESS_WRITE;
		how.makes_unnamed = true;
	}
	return how;
}

int syscall_access_parse(const char *text, struct syscall_access *ret)
{
	struct syscall_access how = {.access = POLICY_ACCESS_WRITE};
	unsigned long long arguments[3], stack, next;
	char *end;
	long number;

	if (!strncmp(text, "running", strlen("running")))
		return SYSCALL_ACCESS_RUNNING;
	number = strtol(text, &end, 10);
	if (end == text ||
	    sscanf(end, " %llx %llx %llx %*x %*x %*x %llx %llx", &arguments[0],
		   &arguments[1], &arguments[2], &stack, &next) != 5 ||
	    !next) { /* a worker of io_uring's, with copied registers */
		*ret = how;
		return 0;
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].number != number)
			continue;
		if (calls[i].flags_argument < 0)
			how.access = POLICY_ACCESS_EXEC;
		else
			how = by_flags(arguments[calls[i].flags_argument]);
		break;
	}
	*ret = how;
	return 0;
}

int syscall_access_of(int proc, pid_t tid, struct syscall_access *ret)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "%d/wchan", (int)tid);
	if (fd_read_at(proc, path, text, sizeof(text)) <= 0)
		text[0] = '\0';
	if (!strcmp(text, "0"))
		return SYSCALL_ACCESS_RUNNING;
	if (!strncmp(text, WAITS_FOR_US, strlen(WAITS_FOR_US))) {
		snprintf(path, sizeof(path), "%d/syscall", (int)tid);
		if (fd_read_at(proc, path, text, sizeof(text)) <= 0)
			text[0] = '\0';
	}
	return syscall_access_parse(text, ret);
}
