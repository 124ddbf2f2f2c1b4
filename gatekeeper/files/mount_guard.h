#pragma once

/*
 * mount_guard - closes what was mounted until the kernel asks about it
 *
 * A mark can only be put on a filesystem that is there.  From its mount until
 * gatekeeper has heard of it and marked it, milliseconds later, nobody is
 * asked about an open.  So programs in the kernel (BPF, at its security hooks;
 * mount_guard.bpf.c) refuse a leashed account every open on a filesystem that
 * gatekeeper has not admitted.
 *
 * Only what the host's mounts lead to is meant: a filesystem seen through one
 * of them, or made within the last ten seconds by a process that has them for
 * its own, wherever it is seen.  Others, such as those that an agent's sandbox
 * or a container makes for itself, are passed over.
 *
 * Everybody but the leashed accounts
 * is passed after a look at their uids.  There is room for 16,384 filesystems;
 * it takes 1.6 MiB of the kernel's memory.
 *
 * Needs a kernel with BTF whose security modules include bpf (Debian's have
 * it); without, mount_guard_new() fails and mounts are open for a moment.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/policy/image.h"

#define MOUNT_GUARD_LINKS 3

struct mount_guard;

struct mount_guard_refused {
	pid_t tid; /* 0 where our pid namespace does not know it */
	uint32_t uid;
	const char *path; /* NULL where it cannot be had */
};

/* Told of each refusal. */
typedef void (*mount_guard_fn)(void *context,
			       const struct mount_guard_refused *refused);

/*
 * Load the programs; nobody is leashed yet.  -EOPNOTSUPP: built without them,
 * or this kernel does not call them; other errors are the kernel's.
 */
MUST_CHECK int mount_guard_new(mount_guard_fn report, void *context,
			       struct mount_guard **ret);
struct mount_guard *mount_guard_free(struct mount_guard *guard);
DEFINE_CLEANUP(struct mount_guard *, mount_guard_free)

/*
 * What holds the programs: a process that has inherited these goes on closing
 * what is mounted when gatekeeper is dead.
 */
void mount_guard_links(const struct mount_guard *guard,
		       int ret[static MOUNT_GUARD_LINKS]);

/* Readable when there are refusals to tell of. */
int mount_guard_fd(const struct mount_guard *guard);

/* Tell of them.  Yields how many were lost since the last time. */
uint64_t mount_guard_hear(struct mount_guard *guard);

/*
 * Who is on a leash: every uid of policy's accounts but of those that it only
 * observes.  Call it when what is mounted has been admitted.
 */
MUST_CHECK int mount_guard_leash(struct mount_guard *guard,
				 const struct policy *policy);

/*
 * Open the filesystem that fd lies on to everybody, until it is gone.  asked:
 * there is a mark on it.
 */
MUST_CHECK int mount_guard_admit(struct mount_guard *guard, int fd, bool asked);

/* The same for all of a type. */
MUST_CHECK int mount_guard_admit_type(struct mount_guard *guard,
				      const char *type);

/*
 * Shut: refuse the accounts what there are marks on, too.  For the time in
 * which these are taken away.
 */
void mount_guard_shut(struct mount_guard *guard, bool shut);
