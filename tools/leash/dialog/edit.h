#pragma once

/*
 * edit - have gatekeeper change something, and print what it did
 */

#include <stdbool.h>

#include "gatekeeper/wire/control.h"
#include "gatekeeper/wire/fields.h"
#include "tools/leash/dialog/json_output.h"

struct edit_options {
	bool dry_run;
	bool json;
	/* What else the object is to hold; either may be NULL. */
	const struct fields *found;
	const struct json_list *lists;
};

/* CONTROL_ASK_EDIT or CONTROL_ASK_RELOAD (wire/control.h); an exit code. */
int edit_ask(enum control_what what, const struct fields *request,
	     const struct edit_options *options);
