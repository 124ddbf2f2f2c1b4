/*
 * leash-fanotify - the file gate
 *
 * Started by gatekeeper alone, with the descriptors of wire/helper_fds.h; the
 * fanotify group comes later, by message, so that our own start asks nobody.
 * Runs as its own user.  Reading other processes' /proc/PID/exe takes
 * CAP_SYS_PTRACE, and /proc/PID/syscall, whose mode is 0400,
 * CAP_DAC_READ_SEARCH; coming before a crowd (boost.h), CAP_SYS_NICE.
 */

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "fanotify/family.h"
#include "gatekeeper/base/log.h"

int main(void)
{
	int r;

	log_start("leash-fanotify");
	prctl(PR_SET_NAME, "leash-fan-main");
	/* Ctrl-C is for gatekeeper, which stops us in good order. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	r = family_run();
	if (r) {
		errno = -r;
		log_error("cannot go on: %m");
		return 1;
	}
	return 0;
}
