#pragma once

/*
 * local_edit - change the drop-in that leash(1) writes, or say why not
 *
 * The new text is written beside the old one, the whole configuration is
 * compiled with it, and only then does it take the old one's place: a mistake,
 * a full disk or a death in between leaves what was.  One at a time, by a lock
 * on the folder.
 *
 * Opens files and takes its time: for a child process.
 */

#include <sys/types.h>

#include "gatekeeper/base/cleanup.h"
#include "gatekeeper/config/config.h"
#include "gatekeeper/policy/image.h"
#include "gatekeeper/wire/fields.h"

/* Expected outcomes. */
enum {
	LOCAL_EDIT_WRONG = 1, /* reply's text says what */
	LOCAL_EDIT_DRY,	      /* done, but that nothing was changed */
};

/* Carry out request, as wire/control.h says, for the user who. */
MUST_CHECK int local_edit(const struct config_source *source,
			  const struct policy *policy, uid_t who,
			  const struct fields *request, struct fields *reply);
