#include "fanotify/target.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "gatekeeper/base/clock.h"

#define DELETED	    " (deleted)"

#define HEAVY_BYTES (1 << 20)

static bool ends_deleted(const struct target *target)
{
	size_t n = strlen(DELETED);

	return target->path_length > n &&
	       !memcmp(target->path + target->path_length - n, DELETED, n);
}

void target_name(int fds_dir, int fd, struct target *target)
{
	char name[16];
	ssize_t n;

	snprintf(name, sizeof(name), "%d", fd);
	n = readlinkat(fds_dir, name, target->path, TARGET_PATH_MAX);
	if (n <= 0 || n == TARGET_PATH_MAX || target->path[0] != '/') {
		target->facts |= POLICY_FACT_UNKNOWN_PATH;
		n = n < 0 || n == TARGET_PATH_MAX ? 0 : n;
	}
	target->path[n] = '\0';
	target->path_length = (size_t)n;
	if (ends_deleted(target))
		target->facts |= POLICY_FACT_DELETED;
}

void target_identify(int fd, struct mount_table *mounts, struct target *ret)
{
	struct statx st;

	ret->facts = 0;
	ret->path[0] = '\0';
	ret->path_length = 0;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0) {
		/* No owner, no mount: nothing of it may be believed. */
		ret->device = ret->inode = ret->size = ret->allocated = 0;
		ret->changed_ns = 0;
		ret->mode = 0777;
		ret->owner = 0;
		ret->facts |= POLICY_FACT_UNKNOWN_PATH;
		return;
	}
	ret->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	ret->inode = st.stx_ino;
	ret->size = st.stx_size;
	ret->allocated = st.stx_blocks * 512; /* statx(2) */
	ret->changed_ns =
		st.stx_ctime.tv_sec * CLOCK_NS_PER_S + st.stx_ctime.tv_nsec;
	ret->mode = st.stx_mode;
	ret->owner = st.stx_uid;
	if (!(st.stx_mask & STATX_MNT_ID) ||
	    !mount_table_has(mounts, st.stx_mnt_id))
		ret->facts |= POLICY_FACT_FOREIGN_MOUNT;
}

bool target_is_heavy(const struct target *target)
{
	return target->allocated > HEAVY_BYTES && target->owner != 0;
}

struct policy_question target_question(const struct target *target,
				       uint32_t account, enum policy_kind kind,
				       int64_t now_s)
{
	return (struct policy_question){
		.account = account,
		.kind = kind,
		.facts = target->facts,
		.path = target->path,
		.path_length = target->path_length,
		.device = target->device,
		.inode = target->inode,
		.size = target->size,
		.changed_ns = target->changed_ns,
		.now_s = now_s,
	};
}

bool target_is_closed(const struct target *target, const struct policy *policy)
{
	return !(target->mode & (S_IWGRP | S_IWOTH)) &&
	       policy_account_of(policy, target->owner) == POLICY_NONE;
}

/* "/srv/#131 (deleted)" */
static bool was_never_named(const struct target *target)
{
	const char *slash = memrchr(target->path, '/', target->path_length);

	return slash && slash[1] == '#' &&
	       strspn(slash + 2, "0123456789") ==
		       strlen(slash + 2) - strlen(DELETED);
}

void target_accept_unnamed(struct target *target)
{
	if (!(target->facts & POLICY_FACT_DELETED) || !was_never_named(target))
		return;
	target->facts &= ~(uint32_t)POLICY_FACT_DELETED;
	target->path_length -= strlen(DELETED);
	target->path[target->path_length] = '\0';
}

/* libc.so.6, libm-2.36.so, _socket.cpython-311.so */
bool target_is_library_name(const struct target *target)
{
	const char *dot = memrchr(target->path, '/', target->path_length);

	while (dot && (dot = strstr(dot, ".so"))) {
		dot += 3;
		if (dot[strspn(dot, ".0123456789")] == '\0')
			return true;
	}
	return false;
}

bool target_may_be_program(const struct target *target,
			   const struct policy *policy)
{
	const mode_t may_run = S_IXUSR | S_IXGRP | S_IXOTH;

	return S_ISREG(target->mode) &&
	       (target->owner != 0 || !target_is_closed(target, policy) ||
		(target->mode & may_run) || target_is_library_name(target));
}
