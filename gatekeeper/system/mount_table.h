#pragma once

/*
 * mount_table - which mounts are the host's own
 *
 * A path proves something only if it was walked through a mount of our own
 * mount namespace: in a namespace of its own the opener decides what leads
 * where.  This keeps the ids of all mounts of ours, read from
 * /proc/self/mountinfo and read again whenever the kernel says it changed.
 *
 * Ids are reused once a mount is gone.  The kernel announces the change
 * before it frees the id, so a look at the announcement after the fact was
 * gathered cannot be fooled: mount_table_has() does it in this order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatekeeper/base/cleanup.h"

struct mount_table;

/* By proc, of process_open_proc(). */
MUST_CHECK int mount_table_new(int proc, struct mount_table **ret);
struct mount_table *mount_table_free(struct mount_table *table);
DEFINE_CLEANUP(struct mount_table *, mount_table_free)

/* Read them again: somebody else may have been told of a change. */
void mount_table_expire(struct mount_table *table);

/* Whether mount id, learnt just before this call, is one of ours. */
bool mount_table_has(struct mount_table *table, uint64_t id);

/*
 * Take the ids out of mountinfo text, sorted.  *ret is the caller's.
 * Malformed lines are passed over.
 */
MUST_CHECK int mount_table_parse(const char *text, uint64_t **ret,
				 size_t *ret_count);
