/*
 * old_kernel - run a command as on a kernel before 6.9
 *
 * There, pidfd_open() knows no PIDFD_THREAD and answers EINVAL.  The gate must
 * then find out by /proc/TID/status who opens (fanotify/opener.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const struct scmp_arg_cmp of_a_thread = {
		.arg = 1,
		.op = SCMP_CMP_EQ,
		.datum_a = O_EXCL,
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (argc < 2 || !filter ||
	    seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0) ||
	    seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EINVAL),
				   SCMP_SYS(pidfd_open), 1, &of_a_thread) ||
	    seccomp_load(filter)) {
		fputs("old_kernel: cannot\n", stderr);
		return 2;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 2;
}
