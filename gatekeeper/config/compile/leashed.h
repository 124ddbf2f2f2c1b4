#pragma once

/*
 * leashed - is somebody one of those on a leash?
 *
 * What such an account can change is no word of the administrator's.  The
 * first two are a resolver's, whose context is the struct compiler.
 */

#include "gatekeeper/config/compile/compiler.h"

bool leashed_uid(void *compiler, uid_t uid);
bool leashed_group(void *compiler, gid_t gid);

/* Is uid one of the account's own, its subordinate uids among them? */
bool leashed_is_own(const struct compiler *compiler,
		    const struct account_entry *account, uid_t uid);
