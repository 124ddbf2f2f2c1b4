#pragma once

/*
 * marks - which filesystems the kernel asks us about
 *
 * A mark is put on the filesystem itself (its superblock): it sees every
 * mount of it, in every namespace.  `watch` names trees: the filesystem at
 * each path and every one mounted below, now or later.  The list of mounts is
 * followed through /proc/self/mountinfo; each change marks all of them again,
 * which for one already marked is nothing.
 *
 * Never marked: filesystems that hold no files (proc, sysfs, ...), and those
 * where another machine or process answers every open (NFS, FUSE), since it
 * could keep the gate waiting for ever.  The latter are reported.
 *
 * What is covered, or need not be, is admitted past the mount guard, where
 * there is one.
 *
 * Nothing is opened but with O_PATH, which is no event.
 */

#include <stdbool.h>
#include <stddef.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/files/mount_guard.h"
#include "gatekeeper/policy/image.h"

struct marks;

/* Told of each filesystem once: covered, or not and why. */
typedef void (*marks_fn)(void *context, const char *mount_point,
			 const char *type, const char *problem);

/* group and guard are borrowed; guard may be NULL. */
MUST_CHECK int marks_new(int group, struct mount_guard *guard, marks_fn report,
			 void *context, struct marks **ret);
struct marks *marks_free(struct marks *marks);
DEFINE_CLEANUP(struct marks *, marks_free)

/* Raises POLLPRI when the mounts have changed. */
int marks_fd(const struct marks *marks);

/*
 * Mark what policy says is to be watched, and let the guard know who is on a
 * leash.  Without leashed accounts nothing is marked.  Never takes a mark away.
 */
MUST_CHECK int marks_update(struct marks *marks, const struct policy *policy);

/* Take all marks away. */
MUST_CHECK int marks_clear(struct marks *marks);

/*
 * Take all marks away until marks_resume(); marks_update() sets none meanwhile.
 */
MUST_CHECK int marks_pause(struct marks *marks);

/* Put them back. After an error, call it again. */
MUST_CHECK int marks_resume(struct marks *marks, const struct policy *policy);

/* How many filesystems are covered. */
size_t marks_count(const struct marks *marks);

enum marks_kind {
	MARKS_KIND_FILES,
	MARKS_KIND_NO_FILES, /* nothing to guard */
	MARKS_KIND_ANSWERED, /* by another machine or process */
};

enum marks_kind marks_kind_of(const char *type);

/* Whether mount_point is path or below it. */
bool marks_is_below(const char *mount_point, const char *path);
