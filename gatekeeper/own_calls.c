#include "gatekeeper/own_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

static const int refused[] __attribute__((unused)) = {
	SCMP_SYS(open),	  SCMP_SYS(creat),    SCMP_SYS(open_by_handle_at),
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork),
	SCMP_SYS(vfork),  SCMP_SYS(clone),
};

__attribute__((unused)) static int refuse(scmp_filter_ctx filter)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(refused) / sizeof(refused[0]); i++)
		r = seccomp_rule_add(filter, no, refused[i], 0);
	/* glibc then tries clone(). */
	if (!r)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
				     SCMP_SYS(clone3), 0);
	if (!r)
		r = seccomp_rule_add(filter, no, SCMP_SYS(openat), 2,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX,
					     (uint32_t)AT_FDCWD),
				     SCMP_A2(SCMP_CMP_MASKED_EQ, O_PATH, 0));
	return r;
}

int own_calls_confine(void)
{
#ifdef LEASH_NO_SECCOMP /* sanitizers make calls of their own */
	return 0;
#else
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!filter)
		return -ENOMEM;
	r = refuse(filter);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
#endif
}
