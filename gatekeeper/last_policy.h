#pragma once

/*
 * last_policy - the compiled policy that was in force last
 *
 * Kept in a folder that is root's alone, for a start with a configuration that
 * has been broken since: better yesterday's rules than none.
 */

#include "gatekeeper/base/cleanup.h"

#define LAST_POLICY_DIR "/var/lib/gatekeeper"

/* Expected outcome. */
enum {
	LAST_POLICY_NONE = 1, /* or one that somebody else may have written */
};

/* Keep a copy of the image in fd, which stays the caller's. */
MUST_CHECK int last_policy_keep(const char *folder, int fd);

/* The copy, in a memfd sealed as policy_map() wants it; the caller's. */
MUST_CHECK int last_policy_load(const char *folder, int *ret_fd);
