/* In place of mount_guard.c where that cannot be built (meson option bpf). */
#include "gatekeeper/files/mount_guard.h"

#include <errno.h>

int mount_guard_new(mount_guard_fn report, void *context,
		    struct mount_guard **ret)
{
	(void)report;
	(void)context;
	(void)ret;
	return -EOPNOTSUPP;
}

struct mount_guard *mount_guard_free(struct mount_guard *guard)
{
	(void)guard;
	return NULL;
}

void mount_guard_links(const struct mount_guard *guard,
		       int ret[static MOUNT_GUARD_LINKS])
{
	(void)guard;
	(void)ret;
}

int mount_guard_fd(const struct mount_guard *guard)
{
	(void)guard;
	return -1;
}

uint64_t mount_guard_hear(struct mount_guard *guard)
{
	(void)guard;
	return 0;
}

int mount_guard_leash(struct mount_guard *guard, const struct policy *policy)
{
	(void)guard;
	(void)policy;
	return -EOPNOTSUPP;
}

int mount_guard_admit(struct mount_guard *guard, int fd, bool asked)
{
	(void)guard;
	(void)fd;
	(void)asked;
	return -EOPNOTSUPP;
}

int mount_guard_admit_type(struct mount_guard *guard, const char *type)
{
	(void)guard;
	(void)type;
	return -EOPNOTSUPP;
}

void mount_guard_shut(struct mount_guard *guard, bool shut)
{
	(void)guard;
	(void)shut;
}
