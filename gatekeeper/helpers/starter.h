#pragma once

/*
 * starter - the process that starts helpers
 *
 * Forked before the fanotify group exists, so it never holds it, nor the lock,
 * nor any filter of gatekeeper's.  gatekeeper could not start a helper by
 * itself: between fork and exec the child would hold the group, and its exec
 * opens files, about which the kernel asks that group.  Were nobody answering
 * at that moment, the child would wait for itself, and everybody for it.
 *
 * What it starts is gatekeeper's child (CLONE_PARENT), which waits for it.
 * Where the starter has died, the next call makes another: by fork alone,
 * which opens nothing, and which closes the group first.
 */

#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/helpers/helper_spec.h"

struct starter;

MUST_CHECK int starter_new(struct starter **ret);
struct starter *starter_free(struct starter *starter);
DEFINE_CLEANUP(struct starter *, starter_free)

/*
 * Start what spec says; fds become 3, 4, ... in it.  Stores its number, or
 * yields a negative errno.  Waits for the starter, but not for long: one that
 * does not answer is replaced, and nothing that was sent may be used again.
 */
MUST_CHECK int starter_start(struct starter *starter,
			     const struct helper_spec *spec, const int *fds,
			     size_t fd_count, pid_t *ret);
